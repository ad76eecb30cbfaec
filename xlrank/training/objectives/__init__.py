"""What language modules learn, to be added up: masked language modelling, alignment with a pivot, inverse cloze; and hold."""

from xlrank.training.objectives.objective import HOLD, LEARNT_FROM, Objective, objectives_named

__all__ = ["HOLD", "LEARNT_FROM", "Objective", "objectives_named"]
