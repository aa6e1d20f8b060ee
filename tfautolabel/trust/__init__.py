"""Which labels can be trusted: calibration, certificates, audits, label sets, and what is unlike all else."""

from __future__ import annotations

from tfautolabel.trust.audited import certify_audited
from tfautolabel.trust.audits import SequentialAudit, audit_bound, draw_audit
from tfautolabel.trust.binomial import error_bound, labels_needed
from tfautolabel.trust.calibration import Calibration, fit_calibration
from tfautolabel.trust.certificates import Certificate, ClassCertificate
from tfautolabel.trust.conformal import ConformalSets, calibrate_sets
from tfautolabel.trust.selective import certify
from tfautolabel.trust.unlike import UnlikeGate, fit_unlike_gate

__all__ = [
    "Calibration",
    "Certificate",
    "ClassCertificate",
    "ConformalSets",
    "SequentialAudit",
    "UnlikeGate",
    "audit_bound",
    "calibrate_sets",
    "certify",
    "certify_audited",
    "draw_audit",
    "error_bound",
    "fit_calibration",
    "fit_unlike_gate",
    "labels_needed",
]
