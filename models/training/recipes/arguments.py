"""Kinds of arguments that recipes take. A plan checks them; the command line shows what they are."""

from typing import Annotated, Literal

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Norm = Annotated[Literal["l2", "linf"], Field(description="Norm of the attack.")]

Copies = Annotated[Count, Field(description="Noisy copies of each image in a step.")]
Radius = Annotated[Positive, Field(description="Radius of the attack, pixels in [0, 1].")]
AttackSteps = Annotated[Count, Field(description="Steps of the attack.")]
Weight = Annotated[NotNegative, Field(description="λ, weight of the regulariser.")]
