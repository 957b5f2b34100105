"""The methods by name: a new one is a file of its own and a line here."""

from cilkit.config import LEARNERS
from cilkit.learner import Learner
from cilkit.methods.bic import BiC
from cilkit.methods.der import DER
from cilkit.methods.ewc import EWC
from cilkit.methods.fetril import FeTrIL
from cilkit.methods.icarl import ICaRL
from cilkit.methods.joint import Joint
from cilkit.methods.lucir import LUCIR
from cilkit.methods.lwf import LwF
from cilkit.methods.means import Means
from cilkit.methods.podnet import PODNet
from cilkit.methods.replay import Replay
from cilkit.methods.replay_kd import ReplayKD
from cilkit.methods.ridge import Ridge
from cilkit.methods.wa import WA

METHODS: dict[str, type[Learner]] = LEARNERS  # `Config` needs to know them, too
METHODS |= {
    "finetune": Learner,
    "lwf": LwF,
    "replay": Replay,
    "replay-kd": ReplayKD,
    "wa": WA,
    "joint": Joint,
    "icarl": ICaRL,
    "means": Means,
    "ridge": Ridge,
    "fetril": FeTrIL,
    "bic": BiC,
    "ewc": EWC,
    "lucir": LUCIR,
    "der": DER,
    "podnet": PODNet,
}
