"""The faults, a line each."""

from support.faults import disk, postgres, processes, redis_servers
from support.faults.course import Fault
from support.faults.processes import process, service
from support.faults.redis_servers import broker, bus
from support.faults.site import WORKERS

NO_BUS = 'every light `unknown`, a strip says "Redis is away" and since when; a cancel answers 503'
REFUSES = "a cancel may answer 503, and some lights may be `unknown`"
NO_DATABASE = 'every light `unknown`, a strip says "PostgreSQL is away"; cancels and stops go on'
NO_RECONCILER = "every light `unknown`, a strip says that the reconciler is away or behind; cancels and stops go on"
NO_API = "the page says that it is not connected, and what it shows is as of when"
NO_HOST = "after some seconds the host's row says `unknown`; its tasks go on, cancels wait for it"
NO_BROKER = "workers `starting`: they have lost their broker; tasks that run go on, and can be cancelled"
DOUBT = "waiting tasks are not confirmed where they cannot be found, and `discarded` within a minute"
ONE_WORKER = "its running tasks `failed`, `worker_lost`; the worker `backoff`, then `starting`, `running`"
STANDS_STILL = "the worker `unknown`: its main process does not answer; what its children do is seen all the same"
NOTHING = "nothing, or some lights `unknown` for a moment"

FAULTS = (
    Fault("bus killed", redis_servers.killed(bus), NO_BUS),
    Fault("bus stopped", redis_servers.stopped(bus), NO_BUS),
    Fault("bus emptied", redis_servers.doing(bus, redis_servers.emptied), NOTHING, once=True),
    Fault("bus set back to an older copy", redis_servers.set_back, NOTHING),
    Fault("bus frozen", redis_servers.frozen(bus), NO_BUS, lasts=10.0),
    Fault("bus out of memory", redis_servers.full(bus), REFUSES),
    Fault("bus with malformed keys", redis_servers.doing(bus, redis_servers.malformed), NOTHING, once=True),
    Fault("bus connections cut", redis_servers.cut(bus), NOTHING),
    Fault("bus without its scripts", redis_servers.without_scripts(bus), NOTHING),
    Fault("broker killed", redis_servers.killed(broker), NO_BROKER),
    Fault("broker emptied", redis_servers.doing(broker, redis_servers.emptied), DOUBT, once=True),
    Fault("broker purged", redis_servers.doing(broker, redis_servers.purged), DOUBT, once=True),
    Fault("broker forgets what workers hold", redis_servers.doing(broker, redis_servers.forgotten), DOUBT, once=True),
    Fault("broker frozen", redis_servers.frozen(broker), NO_BROKER, lasts=10.0),
    Fault("broker out of memory", redis_servers.full(broker), NO_BROKER),
    Fault("broker connections cut", redis_servers.cut(broker), NO_BROKER),
    Fault("PostgreSQL stopped", postgres.stopped, NO_DATABASE),
    Fault("PostgreSQL killed", postgres.killed, NO_DATABASE),
    Fault("PostgreSQL frozen", postgres.frozen, NO_DATABASE, lasts=10.0),
    Fault("PostgreSQL connections closed", postgres.terminated, NOTHING),
    Fault("PostgreSQL read-only", postgres.read_only, NO_RECONCILER),
    Fault("PostgreSQL table of tasks locked", postgres.locked, NO_RECONCILER),
    Fault("disk of the controller full", disk.full, NOTHING),
    Fault("disk of the controller without inodes", disk.no_inodes, NOTHING),
    Fault("quota of the controller used up", disk.no_file_grows, NOTHING),
    Fault("controller killed", processes.killed(service("controller")), NO_HOST, once=True),
    Fault("reconciler killed", processes.killed(service("reconciler")), NO_RECONCILER, once=True),
    Fault("api killed", processes.killed(service("api")), NO_API, once=True),
    Fault("worker's main process killed", processes.killed(process("first")), ONE_WORKER, once=True),
    Fault("main processes of both workers killed", processes.killed(process(*WORKERS)), ONE_WORKER, once=True),
    Fault("pool child killed", processes.killed(processes.pool_child), "its task `failed`, `worker_lost`", once=True),
    Fault("beat killed", processes.killed(process("beat")), "beat `backoff`, then `running`", once=True),
    Fault("controller and a worker killed", processes.killed(processes.controller_and_worker), ONE_WORKER, once=True),
    Fault("everything but the stores killed", processes.killed(processes.everything), NO_API, once=True),
    Fault("controller frozen", processes.frozen(service("controller")), NO_HOST, lasts=10.0),
    Fault("reconciler frozen", processes.frozen(service("reconciler")), NO_RECONCILER, lasts=10.0),
    Fault("api frozen", processes.frozen(service("api")), NO_API, lasts=10.0),
    Fault("worker's main process frozen", processes.frozen(process("first")), STANDS_STILL, lasts=10.0),
    Fault("pool child frozen", processes.frozen(processes.pool_child), "its task goes on `running`", lasts=10.0),
    Fault("beat frozen", processes.frozen(process("beat")), "beat `unknown`", lasts=10.0),
    Fault("controller starved", processes.starved(service("controller")), NOTHING, lasts=8.0),
    Fault("reconciler starved", processes.starved(service("reconciler")), NO_RECONCILER, lasts=8.0),
    Fault("worker's main process starved", processes.starved(process("first")), STANDS_STILL, lasts=8.0),
    Fault("no processor time left", processes.no_processor, NOTHING, lasts=8.0),
)
#: Those that run with all other tests.
SHORT = (
    "bus killed",
    "bus emptied",
    "PostgreSQL killed",
    "controller and a worker killed",
    "worker's main process frozen",
)
