import pytest

from tfautolabel._precision import DEVICES, PRECISIONS, check_device_and_precision

CANNOT = {("cpu", "float16"), ("gpu", "bf16")}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_can_hold_together(device, precision):
    if (device, precision) in CANNOT:
        with pytest.raises(ValueError, match=f"Received: device='{device}', precision='{precision}'"):
            check_device_and_precision(device, precision)
    else:
        check_device_and_precision(device, precision)


@pytest.mark.parametrize(("device", "precision"), [("tpu", "auto"), ("auto", "int8")])
def test_what_is_unknown(device, precision):
    with pytest.raises(ValueError, match="must be one of auto, "):
        check_device_and_precision(device, precision)
