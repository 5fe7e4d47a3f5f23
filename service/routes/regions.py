"""`/regions`: list the memory of certified regions."""

from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Query
from pydantic import ValidationError

from contract import keys
from contract.certificates import ClassLabel
from contract.choices import ProblemCode
from contract.limits import DEFAULT_MEMORY, NO_MEMORY, REGIONS_PAGE
from contract.models import ModelInfo
from contract.problems import ProblemError, refusal
from contract.regions import Region, RegionPage, StoredRegion
from contract.requests import Namespace, Tenant
from service.edge.callers import Caller, KeyScope, require
from service.openapi.responses import problem_responses
from service.resources import Resources, Shared

_MOST_REGIONS: Final = 2**32  # that a Redis list can hold
router = APIRouter(tags=["regions"], dependencies=[require(KeyScope.READ)])


def _memory(
    caller: Annotated[Caller, require(KeyScope.READ)],
    memory: Annotated[Namespace, Query(description="Namespace of the memory.")] = DEFAULT_MEMORY,
    tenant: Annotated[
        Tenant | None,
        Query(description="Tenant whose memory to list, for administrators. Default: the caller's."),
    ] = None,
) -> str:
    """Dependency: the name of a memory that the caller may read."""
    if memory == NO_MEMORY:
        detail = f"'memory' must be a namespace, got '{memory}', which means no memory"
        raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/memory")
    if tenant is not None and not caller.sees(tenant):
        detail = f"'tenant' must be the caller's own without the scope {KeyScope.ADMIN.value}, got '{tenant}'"
        raise refusal(ProblemCode.FORBIDDEN, detail, pointer="/tenant")
    return keys.memory_name(caller.tenant if tenant is None else tenant, memory)


@router.get(
    "/regions",
    responses=problem_responses(
        ProblemCode.INVALID_FIELD, ProblemCode.UNKNOWN_MODEL, ProblemCode.MEMORY_DAMAGED, 500
    ),
)
def list_regions(
    resources: Shared,
    memory: Annotated[str, Depends(_memory)],
    model: Annotated[
        str | None,
        Query(min_length=1, max_length=100, description="Name of the model. Default: the server's."),
    ] = None,
    start: Annotated[int, Query(ge=0, le=_MOST_REGIONS, description="Index of the first region.")] = 0,
    limit: Annotated[
        int, Query(ge=1, le=REGIONS_PAGE, description="Maximum number of regions in the response.")
    ] = 100,
) -> RegionPage:
    """List the certified regions of one memory, in the order they were committed."""
    info = resources.read_catalogue().resolve(model)
    epoch, total, records = _read(resources, info.digest, memory, start, limit)
    following = start + len(records)
    return RegionPage(
        model=info.name,
        model_digest=info.digest,
        memory=memory,
        epoch=epoch,
        total=total,
        regions=[_region(info, start + place, record) for place, record in enumerate(records)],
        next=following if records and following < total else None,
    )


def _read(
    resources: Resources, digest: str, memory: str, start: int, limit: int
) -> tuple[str | None, int, list[bytes]]:
    """Reads the epoch, the number of regions and a page of them, in one transaction."""
    log = keys.memory_log(digest, memory)
    with resources.redis.pipeline(transaction=True) as pipe:
        pipe.hget(keys.memory_head(digest, memory), "epoch")
        pipe.llen(log)
        pipe.lrange(log, start, start + limit - 1)
        epoch, total, records = cast("tuple[Any, int, list[bytes]]", pipe.execute())
    return None if epoch is None else epoch.decode(), total, records


def _region(model: ModelInfo, index: int, record: bytes) -> Region:
    """Adds the label's name, and drops the question, which only workers use."""
    try:
        stored = StoredRegion.model_validate_json(record)
    except ValidationError:
        raise _damaged(index) from None
    if stored.label not in range(len(model.classes)):
        raise _damaged(index)
    label = ClassLabel(index=stored.label, name=model.classes[stored.label])
    return Region(index=index, label=label, **stored.model_dump(exclude={"label", "question"}))


def _damaged(index: int) -> ProblemError:
    detail = f"region {index} cannot be read; run `radii memory check` to find all damage"
    return refusal(ProblemCode.MEMORY_DAMAGED, detail)
