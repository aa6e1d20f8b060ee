"""Trust in labels: calibration, certificates, audits, label sets, and out-of-distribution detection."""

from __future__ import annotations

from tfautolabel.trust.answers_needed import AnswersNeeded, answers_needed, design_audit
from tfautolabel.trust.audit_design import AuditDesign
from tfautolabel.trust.audited import certify_audited
from tfautolabel.trust.audits import SequentialAudit, draw_audit
from tfautolabel.trust.binomial import error_bound, labels_needed
from tfautolabel.trust.calibration import Calibration, fit_calibration
from tfautolabel.trust.certificates import Certificate, ClassCertificate
from tfautolabel.trust.conformal import ConformalSets, calibrate_sets
from tfautolabel.trust.ood import OodGate, fit_ood_gate
from tfautolabel.trust.selective import certify

__all__ = [
    "AnswersNeeded",
    "AuditDesign",
    "Calibration",
    "Certificate",
    "ClassCertificate",
    "ConformalSets",
    "OodGate",
    "SequentialAudit",
    "answers_needed",
    "calibrate_sets",
    "certify",
    "certify_audited",
    "design_audit",
    "draw_audit",
    "error_bound",
    "fit_calibration",
    "fit_ood_gate",
    "labels_needed",
]
