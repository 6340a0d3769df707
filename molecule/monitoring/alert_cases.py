"""For each alert when it fires, and each known case in which it must not: what promtool tests the rules with.

The rules are those of inventory/imagineer, with a clean-up of jobs. A case has the series, as promtool writes values,
and what is so at which time: `fires` names all labels of the alert, `silent` the times. A series has a sample each
minute, unless the case has another interval.
"""

from __future__ import annotations

from typing import Any, NamedTuple

STATES = (
    *("ready", "running", "standby", "starting", "stopping"),
    *("disconnected", "hung", "failed", "stopped", "missing", "unknown"),
)
API = 'instance="api1"'
SCRAPING = f'{API},service="imagineer-scraping"'
THE_SCRAPER = {"instance": "api1", "service": "imagineer-scraping"}
PAGE, TICKET = {"severity": "page"}, {"severity": "ticket"}
DISK_USAGE = "server.tasks.maintenance.record_disk_usage"


class Case(NamedTuple):
    name: str
    series: dict[str, str]
    checks: list[dict[str, Any]]
    interval: str

    def test(self) -> dict[str, Any]:
        """The case as promtool has it."""
        series = [{"series": name, "values": values.strip()} for name, values in self.series.items()]
        return {
            "name": self.name,
            "interval": self.interval,
            "input_series": series,
            "alert_rule_test": self.checks,
        }


def case(name: str, series: dict[str, str], *checks: Any, interval: str = "1m") -> Case:
    flat = [check for each in checks for check in (each if isinstance(each, list) else [each])]
    return Case(name, series, flat, interval)


def fires(alert: str, at: str, **labels: str) -> dict[str, Any]:
    return {"alertname": alert, "eval_time": at, "exp_alerts": [{"exp_labels": labels}]}


def silent(alert: str, *times: str) -> list[dict[str, Any]]:
    return [{"alertname": alert, "eval_time": at, "exp_alerts": []} for at in times]


def states(**values: str) -> dict[str, str]:
    """One series for each state of the service; those without values are 0 all the time."""
    return {
        f'evenkeel_service_state{{{SCRAPING},kind="worker",state="{state}"}}': values.get(state, "0x600")
        for state in STATES
    }


def ends(reason: str, values: str) -> dict[str, str]:
    return {f'evenkeel_service_ends_total{{{SCRAPING},reason="{reason}"}}': values}


def of_service(name: str, values: str, service: str = SCRAPING) -> dict[str, str]:
    return {f"evenkeel_{name}{{{service}}}": values}


def tasks(**outcomes: str) -> dict[str, str]:
    return {f'evenkeel_tasks_total{{{SCRAPING},task="t",outcome="{name}"}}': outcomes[name] for name in outcomes}


def cases(shared_broker: bool) -> list[Case]:
    return [*services(), *of_tasks(), *queues(shared_broker), *jobs(), *machine(), *monitoring()]


def services() -> list[Case]:
    down, given_up, disconnected = "CeleryServiceDown", "CeleryServiceGivenUp", "CeleryServiceDisconnected"
    keeps_ending, hung, memory = "CeleryServiceKeepsEnding", "CeleryServiceHung", "CeleryServiceOutOfMemory"
    near = "CeleryServiceNearMemoryLimit"
    state = {"kind": "worker"}
    return [
        case(
            "a worker goes down for good",
            states(ready="1x10 0x50", starting="0x10 1x50"),
            silent(down, "10m", "15m"),
            fires(down, "16m", **THE_SCRAPER, **PAGE),
        ),
        case(
            "it was stopped by hand and is forgotten",
            states(ready="1x10 0x50", stopped="0x10 1x50"),
            fires(down, "16m", **THE_SCRAPER, **PAGE),
        ),
        case(
            "four restarts by hand within ten minutes, a slow stop, an outage of the broker: no downtime, no end",
            {
                **states(
                    ready="1x10 0 1 0 0 1 0 1 0 0 1x5 0x20 1x5 0x20 1x60",
                    starting="0x10 1 0 1 1 0 1 0 1 1 0x600",
                    stopping="0x25 1x20 0x600",
                    disconnected="0x51 1x20 0x600",
                ),
                **{name: "0x200" for reason in ("crashed", "killed", "hung") for name in ends(reason, "")},
                **of_service("service_restarts_total", "0x200"),
            },
            silent(down, "13m", "18m", "40m", "60m", "70m"),
            *(silent(alert, "20m", "60m") for alert in (given_up, keeps_ending, hung)),
        ),
        case(
            "it starts again and again, each time for less than five minutes, and works in between",
            states(ready="0 0 0 1 " * 30, starting="1 1 1 0 " * 30),
            silent(down, "30m", "90m"),
        ),
        case("a beat that waits for the lock of another is up", states(standby="1x60"), silent(down, "30m")),
        case("a unit that says nothing of itself runs", states(running="1x60"), silent(down, "30m")),
        case("monitoring is new: nothing is known of the service", {"up": "1x60"}, silent(down, "30m")),
        case(
            "systemd has given it up",
            states(ready="1x10 0x50", failed="0x10 1x50"),
            silent(given_up, "10m", "11m"),
            fires(given_up, "12m", **THE_SCRAPER, **state, state="failed", **PAGE),
        ),
        case(
            "between two attempts of systemd a service is starting, not failed",
            states(ready="0x60", starting="1x60"),
            silent(given_up, "20m"),
        ),
        case(
            "it has no broker",
            states(ready="1x10 0x60", disconnected="0x10 1x60"),
            silent(disconnected, "15m"),
            fires(disconnected, "17m", **THE_SCRAPER, **state, state="disconnected", **PAGE),
            silent(down, "30m"),
        ),
        case(
            "the broker restarts",
            states(ready="1x10 0x3 1x60", disconnected="0x10 1x3 0x60"),
            silent(disconnected, "12m", "15m", "20m"),
        ),
        case(
            "it crashes three times within an hour",
            {**ends("crashed", "0x10 1x10 2x10 3x60"), **ends("hung", "0x90")},
            silent(keeps_ending, "25m"),
            fires(keeps_ending, "34m", **THE_SCRAPER, **TICKET),
            silent(keeps_ending, "95m"),
            silent(hung, "34m"),
        ),
        case(
            "two ends within an hour, one more two hours later",
            {**ends("crashed", "0x10 1x10 2x120 3x60"), **ends("hung", "0x200")},
            silent(keeps_ending, "21m", "60m", "145m"),
        ),
        case(
            "the watchdog ends a hung worker",
            ends("hung", "0x10 1x90"),
            silent(hung, "10m"),
            fires(hung, "12m", **THE_SCRAPER, reason="hung", **TICKET),
            fires(hung, "60m", **THE_SCRAPER, reason="hung", **TICKET),
            silent(hung, "75m"),
        ),
        case(
            "counters that are first seen above zero were counted long ago",
            {**ends("hung", "_x10 4x60"), **of_service("service_oom_kills_total", "_x10 4x60")},
            silent(hung, "12m", "40m"),
            silent(memory, "12m", "40m"),
        ),
        case("the host was rebuilt: counters begin anew", ends("hung", "4x10 0x60"), silent(hung, "12m", "40m")),
        case(
            "the kernel kills a child",
            of_service("service_oom_kills_total", "0x10 1x100"),
            silent(memory, "10m"),
            fires(memory, "12m", **THE_SCRAPER, **TICKET),
            fires(memory, "55m", **THE_SCRAPER, **TICKET),
            silent(memory, "90m"),
        ),
        case(
            "only systemd's result tells of it",
            {**of_service("service_oom_kills_total", "0x100"), **ends("out of memory", "0x10 1x100")},
            fires(memory, "12m", **THE_SCRAPER, **TICKET),
        ),
        case(
            "it stays near its memory limit",
            {
                **of_service("service_memory_working_bytes", "500x10 950x60"),
                **of_service("service_memory_max_bytes", "1000x80"),
            },
            silent(near, "20m", "25m"),
            fires(near, "26m", **THE_SCRAPER, **TICKET),
        ),
        case(
            "short peaks",
            {
                **of_service("service_memory_working_bytes", "950x5 300x5 950x5 300x60"),
                **of_service("service_memory_max_bytes", "1000x80"),
            },
            silent(near, "14m", "40m"),
        ),
        case("no memory limit", of_service("service_memory_working_bytes", "9999x80"), silent(near, "40m")),
    ]


def of_tasks() -> list[Case]:
    endless, fail, limited = "CeleryTasksDoNotEnd", "CeleryTasksFail", "CeleryRateLimited"
    overdue, never = "CeleryTaskOverdue", "CeleryTaskNeverSeen"

    def worker(running: str, started: str) -> dict[str, str]:
        return {**of_service("worker_running_tasks", running), **of_service("worker_started_tasks_total", started)}

    def last(host: str, values: str) -> dict[str, str]:
        labels = f'instance="{host}",service="imagineer-default",task="{DISK_USAGE}"'
        return {f"evenkeel_task_last_success_timestamp_seconds{{{labels}}}": values}

    return [
        case(
            "it is busy, and nothing ends for longer than a task may take (time_limit: 30min)",
            worker("0x5 2x90", "7x5 9x90"),
            silent(endless, "30m", "40m"),
            fires(endless, "44m", **THE_SCRAPER, **PAGE),
        ),
        case("a task of 29 minutes", worker("0x5 1x29 0x60", "7x5 8x90"), silent(endless, "34m", "60m")),
        case("it is idle for an hour", worker("0x90", "7x90"), silent(endless, "60m")),
        case(
            "monitoring is new, and a task runs", worker("_x5 2x60", "_x5 9x60"), silent(endless, "12m", "30m", "36m")
        ),
        case("it executes tasks all the time", worker("2x90", "0+1x90"), silent(endless, "50m")),
        case(
            "it was restarted: what it executes now is new",
            worker("1x30 0 1x60", "9x30 0 1x60"),
            silent(endless, "40m", "58m"),
        ),
        case(
            "it was restarted so fast that no sample shows it idle",
            worker("1x90", "9x30 1x60"),
            silent(endless, "33m", "58m"),
        ),
        case(
            "a third of the tasks fail",
            tasks(succeeded="0+2x60", failed="0+1x60", retried="0x60"),
            silent(fail, "4m", "7m"),
            fires(fail, "14m", **THE_SCRAPER, task="t", **TICKET),
        ),
        case("one of two fails", tasks(succeeded="0x10 1x60", failed="0x10 1x60"), silent(fail, "30m")),
        case(
            "many are retried and succeed in the end; one of 100 fails",
            tasks(succeeded="0+20x60", failed="0+0.2x60", retried="0+20x60"),
            silent(fail, "40m"),
        ),
        case(
            "an API refuses a call each minute",
            of_service("worker_rate_limited_total", "0x10 0+1x60"),
            silent(limited, "20m", "32m"),
            fires(limited, "38m", **THE_SCRAPER, **TICKET),
        ),
        case("a few refusals", of_service("worker_rate_limited_total", "0+0.2x90"), silent(limited, "80m")),
        case(
            "the sample of the disk last succeeded twelve hours ago",
            last("api1", "3600x200"),
            silent(overdue, "1h", "13h", "13h5m"),
            fires(overdue, "13h10m", task=DISK_USAGE, **PAGE),
            interval="5m",
        ),
        case(
            "it succeeds each six hours, by now on the other host",
            {**last("api1", "0x200"), **last("gpu1", "0x72 21600x72 43200x72")},
            silent(overdue, "7h", "13h", "16h"),
            interval="5m",
        ),
        case(
            "it has never been seen",
            {"up": "1x200"},
            silent(never, "11h"),
            fires(never, "12h10m", task=DISK_USAGE, **PAGE),
            interval="5m",
        ),
        case(
            "it is first seen five hours after monitoring began",
            last("api1", "_x60 18000x100"),
            silent(never, "6h", "13h"),
            silent(overdue, "6h"),
            interval="5m",
        ),
    ]


def queues(shared: bool) -> list[Case]:
    """With one broker for all hosts, or each host with its own: then only its own workers count."""
    backlog, unserved, idle = "CeleryQueueBacklog", "CeleryQueueNotServed", "CeleryQueueIdle"
    not_measured, down, evicts = "CeleryQueueNotMeasured", "CeleryBrokerDown", "CeleryBrokerEvicts"

    def length(queue: str, values: str, host: str = "api1") -> dict[str, str]:
        return {f'redis_script_values{{instance="{host}",job="redis",key="queue:{queue}"}}': values}

    def on(host: str) -> dict[str, str]:
        return {} if shared else {"instance": host}

    training = 'instance="gpu1",service="imagineer-training"'
    redis = f'{API},job="redis"'
    from_api = {"instance": "api1", "job": "redis"}
    started = "worker_started_tasks_total"
    running = "worker_running_tasks"
    elsewhere = of_service(started, "0+1x90", 'instance="gpu1",service="imagineer-scraping"')

    def campaign(flag: str, starts: str, runs: str) -> dict[str, str]:
        return {
            'evenkeel_campaign{instance="gpu1",queue="training"}': flag,
            **of_service(started, starts, training),
            **of_service(running, runs, training),
        }

    return [
        case(
            "26 messages for 15 minutes, seen by both hosts' exporters if they have one broker",
            {**length("scraping", "25x10 26x60"), **(length("scraping", "25x10 26x60", "gpu1") if shared else {})},
            silent(backlog, "10m", "25m"),
            fires(backlog, "26m", queue="scraping", **on("api1"), **PAGE),
        ),
        case("25 for ever", length("scraping", "25x90"), silent(backlog, "60m")),
        case("a burst of 14 minutes", length("scraping", "0x10 90x13 3x60"), silent(backlog, "22m", "24m", "40m")),
        case("a queue without a limit", length("default", "900x60"), silent(backlog, "40m")),
        case(
            "messages wait, and an idle worker begins none",
            {**length("scraping", "0x5 3x90"), **of_service(started, "0+1x5 5x90"), **of_service(running, "0x95")},
            silent(unserved, "15m", "20m", "21m"),
            fires(unserved, "22m", queue="scraping", **on("api1"), **PAGE),
        ),
        case(
            "there is no worker at all, and monitoring is new",
            length("scraping", "3x90"),
            silent(unserved, "10m", "15m"),
            fires(unserved, "16m", queue="scraping", **on("api1"), **PAGE),
        ),
        case(
            "all its workers are busy with long tasks",
            {**length("scraping", "5x90"), **of_service(started, "7x90"), **of_service(running, "2x90")},
            silent(unserved, "30m", "70m"),
        ),
        case(
            "its tasks are so short that no sample shows one",
            {**length("scraping", "5x90"), **of_service(started, "0+9x90"), **of_service(running, "0x90")},
            silent(unserved, "30m", "70m"),
        ),
        case("an empty queue", {**length("labeling", "0x90"), **of_service(started, "5x90")}, silent(unserved, "40m")),
        case(
            "a message waits now and then",
            {**length("scraping", "1x10 0 1x10 0 1x10 0"), **of_service(started, "5x90")},
            silent(unserved, "12m", "20m", "30m"),
        ),
        case(
            "another host's worker of that name is busy: it serves the queue if the broker is the same",
            {**length("scraping", "3x90"), **of_service(started, "5x90"), **elsewhere},
            silent(unserved, "40m") if shared else fires(unserved, "40m", queue="scraping", **on("api1"), **PAGE),
        ),
        case(
            "a campaign is on, and training has had nothing to do for six hours",
            campaign("1x150", "0x12 1x140", "0x12 1x2 0x140"),
            silent(idle, "6h", "7h", "7h15m", "7h20m"),
            fires(idle, "7h25m", queue="training", **on("gpu1"), **PAGE),
            interval="5m",
        ),
        case("no campaign is on", campaign("0x150", "1x150", "0x150"), silent(idle, "8h", "12h"), interval="5m"),
        case(
            "the campaign began three hours ago",
            campaign("0x60 1x90", "1x150", "0x150"),
            silent(idle, "8h", "10h"),
            interval="5m",
        ),
        case(
            "a training takes ten hours",
            campaign("1x150", "0x5 1x150", "0x5 1x120 0x30"),
            silent(idle, "8h", "10h", "12h"),
            interval="5m",
        ),
        case(
            "trainings are so short that no sample shows one",
            campaign("1x150", "0+1x150", "0x150"),
            silent(idle, "8h", "12h"),
            interval="5m",
        ),
        case(
            "monitoring is an hour old, in the middle of a campaign",
            campaign("_x80 1x70", "_x80 1x70", "_x80 0x70"),
            silent(idle, "7h", "10h"),
            interval="5m",
        ),
        case(
            "the exporter does not count a queue",
            {
                f"redis_up{{{redis}}}": "1x60",
                **length("training", "0x60"),
                **length("default", "0x60"),
                **length("labeling", "0x60"),
            },
            silent(not_measured, "9m"),
            fires(not_measured, "11m", queue="scraping", **from_api, **TICKET),
        ),
        case(
            "Redis is down",
            {f"redis_up{{{redis}}}": "1x10 0x60"},
            silent(not_measured, "30m"),
            silent(down, "14m"),
            fires(down, "16m", **from_api, **PAGE),
        ),
        case(
            "Redis restarts",
            {f"redis_up{{{redis}}}": "1x10 0 0 1x30", f"redis_evicted_keys_total{{{redis}}}": "0x60"},
            silent(down, "12m", "20m"),
            silent(evicts, "20m"),
        ),
        case(
            "Redis throws keys away",
            {f"redis_evicted_keys_total{{{redis}}}": "0x10 3x60"},
            silent(evicts, "10m", "40m"),
            fires(evicts, "12m", **from_api, **PAGE),
            fires(evicts, "22m", **from_api, **PAGE),
        ),
    ]


def jobs() -> list[Case]:
    long, keep, fails = "JobsStuckForLong", "JobsKeepGettingStuck", "JobCleanupFails"
    does_not_run, never, skipped = "JobCleanupDoesNotRun", "JobCleanupNeverSeen", "JobsSkipped"
    sampled = {f"evenkeel_sample_timestamp_seconds{{{API}}}": "0+60x120"}
    database = {"instance": "api1", "database": "images"}

    def of_database(name: str, values: str) -> dict[str, str]:
        return {f'stuck_jobs_{name}{{{API},database="images"}}': values}

    def found(rows: str, oldest: str) -> dict[str, str]:
        series = f'stuck_jobs_rows{{{API},database="images",table="images",action="reset"}}'
        return {series: rows, **of_database("oldest_seconds", oldest)}

    return [
        case(
            "a job was stuck for more than an hour",
            of_database("oldest_seconds", "0x10 3700x10 0x30"),
            silent(long, "9m", "25m"),
            fires(long, "11m", **database, **TICKET),
        ),
        case("the clean-up resets one after 38 minutes", of_database("oldest_seconds", "2280x60"), silent(long, "30m")),
        case(
            "each clean-up finds some",
            found("2x200", "2000x200"),
            silent(keep, "50m"),
            fires(keep, "65m", **database, **TICKET),
        ),
        case(
            "some were found an hour ago and now, none in between",
            found("3x5 0x55 3x30", "2000x5 0x55 2000x30"),
            silent(keep, "65m"),
        ),
        case("one crash left some", found("0x70 3x10 0x200", "0x70 2000x10 0x200"), silent(keep, "75m", "2h5m")),
        case(
            "monitoring is new, and the clean-up has found some",
            found("_x10 3x200", "_x10 2000x20"),
            silent(keep, "40m"),
        ),
        case(
            "the clean-up fails",
            of_database("failed", "0x10 1x60"),
            silent(fails, "30m", "40m"),
            fires(fails, "41m", **database, **TICKET),
        ),
        case("one clean-up fails", of_database("failed", "0x10 1x20 0x60"), silent(fails, "30m", "60m")),
        case(
            "the clean-up has not run for an hour",
            of_database("last_run_timestamp_seconds", "0x10 600x200"),
            silent(does_not_run, "60m", "70m", "74m"),
            fires(does_not_run, "77m", **database, **TICKET),
        ),
        case(
            "a host is measured, and its clean-up has never run",
            sampled,
            silent(never, "59m"),
            fires(never, "61m", instance="api1", **TICKET),
        ),
        case(
            "the clean-up of a new host runs after ten minutes",
            {**sampled, **of_database("last_run_timestamp_seconds", "_x10 600x110")},
            silent(never, "30m", "90m"),
        ),
        case(
            "it runs each ten minutes",
            of_database("last_run_timestamp_seconds", "".join(f"{600 * run}x9 " for run in range(20))),
            silent(does_not_run, "90m", "120m"),
        ),
        case(
            "it skips rows",
            of_database("skipped", "0x12 2x100"),
            silent(skipped, "6h"),
            fires(skipped, "7h10m", **database, **TICKET),
            interval="5m",
        ),
    ]


def machine() -> list[Case]:
    swaps, short, killed, disk = "MachineSwaps", "MachineMemoryShort", "MachineOutOfMemory", "MachineDiskFull"
    api = {"instance": "api1"}

    def node(**metrics: str) -> dict[str, str]:
        return {f"node_{name}{{{API}}}": metrics[name] for name in metrics}

    def file_system(labels: str, free: str, readonly: str) -> dict[str, str]:
        values = {"avail_bytes": free, "size_bytes": "100x90", "readonly": readonly}
        return {f"node_filesystem_{name}{{{API},{labels}}}": values[name] for name in values}

    root = 'device="/dev/sda1",mountpoint="/",fstype="ext4"'
    swap = {"memory_SwapFree_bytes": "1000x60", "memory_SwapTotal_bytes": "2000x60"}
    return [
        case(
            "pages come and go",
            node(vmstat_pswpin="0+30000x60", **swap),
            silent(swaps, "14m"),
            fires(swaps, "19m", **api, **TICKET),
        ),
        case(
            "they come in a burst every five minutes",
            node(vmstat_pswpin=" ".join(f"{900000 * burst}x4" for burst in range(12)), **swap),
            silent(swaps, "14m"),
            fires(swaps, "35m", **api, **TICKET),
        ),
        case(
            "nobody needs what is in swap",
            node(vmstat_pswpin="90000x60", memory_SwapFree_bytes="200x60", memory_SwapTotal_bytes="2000x60"),
            silent(swaps, "40m"),
        ),
        case(
            "no swap at all",
            node(vmstat_pswpin="0x60", memory_SwapFree_bytes="0x60", memory_SwapTotal_bytes="0x60"),
            silent(swaps, "40m"),
        ),
        case(
            "memory is short",
            node(memory_MemAvailable_bytes="50x10 5x60", memory_MemTotal_bytes="100x70"),
            silent(short, "15m", "20m"),
            fires(short, "21m", **api, **PAGE),
        ),
        case(
            "the kernel kills a process; it counts since boot",
            node(vmstat_oom_kill="5x10 6x10 0x90"),
            silent(killed, "9m", "85m"),
            fires(killed, "12m", **api, **TICKET),
            fires(killed, "55m", **api, **TICKET),
        ),
        case(
            "a disk is nearly full",
            file_system(root, "5x60", "0x60"),
            silent(disk, "25m"),
            fires(disk, "31m", **api, device="/dev/sda1", mountpoint="/", fstype="ext4", **PAGE),
        ),
        case("a disc that can't be written to is always full", file_system(root, "0x60", "1x60"), silent(disk, "40m")),
        case(
            "a log is rotated in time",
            file_system(root, "50x5 5x20 50x60", "0x90"),
            silent(disk, "24m", "36m", "50m"),
        ),
    ]


def monitoring() -> list[Case]:
    stale, missing, broken = "MonitoringStale", "MonitoringMissing", "MonitoringFileBroken"
    drops, blind = "JournalDropsLines", "BrokerMonitoringMissing"
    api = {"instance": "api1"}
    fresh = {f'evenkeel_sample_timestamp_seconds{{instance="{host}"}}': "0+60x90" for host in ("api1", "gpu1")}

    def sampled(values: str) -> dict[str, str]:
        return {**fresh, f"evenkeel_sample_timestamp_seconds{{{API}}}": values}

    def asked(values: str) -> dict[str, str]:
        return {f'redis_up{{{API},job="redis"}}': values, 'redis_up{instance="gpu1",job="redis"}': "0x90"}

    return [
        case(
            "the sampler's timer has stopped",
            sampled("0+60x10 600x60"),
            silent(stale, "12m", "16m"),
            fires(stale, "18m", **api, **PAGE),
        ),
        case("samples are a minute old", sampled("0x1 0+60x60"), silent(stale, "30m", "50m")),
        case(
            "the host was off for an hour and is back",
            sampled("0+60x10 _x50 600x2 3720+60x30"),
            silent(stale, "62m", "70m"),
        ),
        case(
            "all other alerts would be silent then",
            {**states(ready="1x60"), **sampled("600x60")},
            silent("CeleryServiceDown", "40m"),
            fires(stale, "40m", **api, **PAGE),
        ),
        case(
            "the host is down",
            sampled("0+60x10 stale _x60"),
            silent(missing, "10m", "15m"),
            fires(missing, "17m", **api, **PAGE),
        ),
        case(
            "a scrape fails now and then",
            sampled("0 60 stale 180 240 stale stale 420+60x60"),
            silent(missing, "8m", "40m"),
        ),
        case(
            "a host was never asked",
            {'evenkeel_sample_timestamp_seconds{instance="api1"}': "0+60x60"},
            silent(missing, "4m"),
            fires(missing, "6m", instance="gpu1", **PAGE),
        ),
        case(
            "the host has no redis_exporter",
            {**fresh, 'redis_up{instance="gpu1",job="redis"}': "1x90"},
            silent(blind, "4m"),
            fires(blind, "6m", **api, **TICKET),
        ),
        case("Redis is down, which its exporter tells", asked("0x60"), silent(blind, "30m")),
        case(
            "a file can't be read",
            {f"node_textfile_scrape_error{{{API}}}": "1x60"},
            silent(broken, "9m"),
            fires(broken, "11m", **api, **TICKET),
        ),
        case("files can be read", {f"node_textfile_scrape_error{{{API}}}": "0x60"}, silent(broken, "30m")),
        case(
            "the journal drops lines",
            {f"evenkeel_journal_suppressed_total{{{API}}}": "0x10 400x90"},
            silent(drops, "9m", "85m"),
            fires(drops, "12m", **api, **TICKET),
            fires(drops, "55m", **api, **TICKET),
        ),
    ]
