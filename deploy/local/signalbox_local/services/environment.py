"""Environment of each service, limited to what it needs: the controller never gets the address of the record."""

import os
from collections.abc import Mapping
from pathlib import Path

from signalbox_local.plan import Plan
from signalbox_local.ports import HOST

_HERE = Path(__file__).resolve().parents[2]
#: How all keys and queues of the example begin: its Redis may hold the data of others.
EXAMPLE_PREFIX = "signalbox-example:"
#: Set here, so never inherited from the caller.
_OURS = ("DATABASE_URL", "REDIS_URL", "SHOP_BROKER_URL", "SHOP_RESULT_BACKEND", "SHOP_KEY_PREFIX")


def common(plan: Plan, *, redis_url: str, key: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of every service, and those that are not about Signalbox (PATH, HOME, TZ…)."""
    variables = {
        name: value for name, value in environ.items() if name not in _OURS and not name.startswith("SIGNALBOX_")
    }
    # Our own folder is on the path of this process only; Celery's workers inherit what the services get.
    path = [
        part for part in variables.pop("PYTHONPATH", "").split(os.pathsep) if part and Path(part).resolve() != _HERE
    ]
    if path:
        variables["PYTHONPATH"] = os.pathsep.join(path)
    variables |= {
        "PYTHONUNBUFFERED": "1",
        "SIGNALBOX_REDIS_URL": redis_url,
        "SIGNALBOX_KEY": key,
        "SIGNALBOX_DATA": str(plan.data),
        "SIGNALBOX_LOG_LEVEL": plan.log_level,
    }
    if cgroups := environ.get("SIGNALBOX_CGROUPS"):
        variables["SIGNALBOX_CGROUPS"] = cgroups
    return variables | ({"SIGNALBOX_HOSTNAME": plan.hostname} if plan.hostname else {})


def with_record(base: Mapping[str, str], database_url: str) -> dict[str, str]:
    """For the services that use the record: the reconciler and the api."""
    return {**base, "SIGNALBOX_DATABASE_URL": database_url}


def for_api(base: Mapping[str, str], database_url: str, plan: Plan) -> dict[str, str]:
    """For the api."""
    return {
        **with_record(base, database_url),
        "SIGNALBOX_HOST": HOST,
        "SIGNALBOX_PORT": str(plan.port),
        "SIGNALBOX_ROOT_PATH": plan.root_path,
        "SIGNALBOX_TRUSTED_PROXIES": plan.trusted_proxies,
        **plan.limits,
    }


def for_controller(base: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """For the controller: what to run, and the broker of the example."""
    bus = base["SIGNALBOX_REDIS_URL"]
    return {
        **base,
        "SIGNALBOX_CONFIG": str(plan.config),
        "SIGNALBOX_ON_EXIT": "stop",
        **shop(bus),
    }


def shop(bus: str) -> dict[str, str]:
    """Broker and result backend of the example: the database of the bus, which is the only one that is ours to use."""
    return {"SHOP_BROKER_URL": bus, "SHOP_RESULT_BACKEND": bus, "SHOP_KEY_PREFIX": EXAMPLE_PREFIX}
