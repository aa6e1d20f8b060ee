"""What runs a frozen network: one engine a file, one contract, and the choice among them."""

from tfautolabel.features.engines.choose import ENGINES, check_here, choose_engine, engine_of
from tfautolabel.features.engines.contract import Engine, EngineChoice, EngineKind

__all__ = ["ENGINES", "Engine", "EngineChoice", "EngineKind", "check_here", "choose_engine", "engine_of"]
