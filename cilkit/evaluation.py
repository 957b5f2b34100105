"""What a model knows after a stage, as a record holds it."""

from cilkit.data import Stage
from cilkit.inference import predict
from cilkit.metrics import calibration_error, confusion_matrix
from cilkit.model import CilModel
from cilkit.records import Examination


def examine(model: CilModel, stage: Stage) -> Examination:
    """Test the model on the test images of all classes seen so far."""
    predictions = predict(model, stage.test)
    return Examination(
        confusion=confusion_matrix(predictions, stage.n_seen),
        calibration_error=calibration_error(predictions),
        norms=model.classifier.norms(),
    )
