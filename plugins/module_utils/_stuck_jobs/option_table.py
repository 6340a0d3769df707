# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a database: each is described here, and nowhere else by hand. Their defaults are in options.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from .._common.options import Option
from .._common.pools import POOLS
from .._common.quantities import format_size
from .actions import ACTIONS, that_set
from .engines.postgresql import options as postgresql
from .engines.sqlite import options as sqlite
from .options import ERROR_MODES, LONGEST_COUNTDOWN, NOW, POLICIES, Celery, Database, Requeue, Table

ERROR_MODE = (
    "V(replace) writes the message in place of the column's text, V(append) below it, on a line of its own.",
    "V(json) appends it to a list in JSON, as an object with C(at), C(error) and, where they are counted, C(attempts)."
    " NULL and an empty text are an empty list; anything else that is no list makes the job skipped.",
)


def _of_actions(of_job: bool) -> Iterator[Option]:
    """The options of the actions that set a status; a child's status is by default that of the job."""
    for action in that_set():
        status = (
            f"The status that V({action.name}) sets. {'' if of_job else 'By default that of the job. '}Null is NULL."
        )
        columns = (
            f"Other columns that V({action.name}) sets, such as C({{started_at: null, worker: null}}).",
            f"The value V({NOW}) is the time of the run, written as the job's own time is.",
        )
        yield Option(action.to_option, "raw", status, action.status if of_job else None)
        yield Option(action.set_option, "dict", columns, {}, free_text=True)


CHILD = (
    Option("table", "str", "The table of the children.", required=True),
    Option(
        "foreign_key",
        "list",
        "The column that holds the id of the job. As many as the id has.",
        required=True,
        elements="str",
        no_log=False,
    ),
    Option(
        "id_column",
        "list",
        "The column that identifies a child. Several for a composite key.",
        Table.id_column,
        elements="str",
    ),
    Option(
        "status_column",
        "str",
        "The column of the status. Empty if there is none: then only V(delete) touches the child.",
        Table.status_column,
    ),
    Option(
        "stuck_statuses",
        "list",
        "The statuses in which a child is reset or failed with its job. By default those of the job.",
        elements="raw",
    ),
    *_of_actions(of_job=False),
    Option("error_column", "str", "A column of the child that gets the message. Empty for none.", Table.error_column),
    Option("error_mode", "str", ERROR_MODE, Table.error_mode, choices=ERROR_MODES),
    Option("error_message", "str", "The message in O(error_column). By default that of the job.", free_text=True),
    Option("children", "list", "The children's children, with the same options.", (), elements="dict"),
)

CELERY = (
    Option("app", "str", "The application, as C(celery --app) takes it.", required=True),
    Option("directory", "path", "The directory from which the application is imported.", required=True),
    Option("python", "path", "The interpreter of its virtual environment.", required=True),
    Option(
        "environment_file",
        "path",
        (
            "A file with its environment, such as C(/etc/evenkeel/celery-worker.env).",
            "The database's owner can read it, or it is root's in directories of root's.",
        ),
        Celery.environment_file,
    ),
    Option(
        "pool",
        "str",
        "The pool of its workers. The application is imported as by C(celery -A app worker --pool=pool), so V(gevent)"
        " and V(eventlet) replace parts of Python's library first.",
        Celery.pool,
        choices=POOLS,
    ),
    Option(
        "settings",
        "dict",
        "Settings of Celery that the application needs to reach its broker, and that its workers have on their command"
        " line, such as C({broker_transport_options: {master_name: mymaster}}). Secrets belong into"
        " O(environment_file).",
        {},
        free_text=True,
    ),
    Option(
        "workers",
        "list",
        (
            "The nodes that all have to answer. Once they have, others of their names are waited for as long again, at"
            " least for a second.",
            "If none is named, all have O(timeout) to answer, and the answer of one of this application's is enough.",
        ),
        Celery.workers,
        elements="str",
    ),
    Option("timeout", "duration", "How long to wait for answers at most.", f"{Celery.timeout:g}s"),
    Option(
        "task_id_column",
        "str",
        (
            "The column that holds the id of the job's task. Without one, the job's id is looked for among the"
            " arguments of tasks.",
            "With C(requeue), it gets the id of the task that is sent.",
        ),
        Celery.task_id_column,
    ),
    Option(
        "unreachable",
        "str",
        (
            "What to do when it is not known what the workers are doing. V(abort) changes nothing, V(ignore) trusts the"
            " age alone.",
            "If empty, it is V(abort) for V(reset) and V(delete), V(ignore) for V(fail).",
        ),
        Celery.unreachable,
        choices=POLICIES,
    ),
)

REQUEUE = (
    Option("task", "str", "The name of the task.", required=True),
    Option("args", "list", "Its arguments. C({id}) is the job's id.", Requeue.args, elements="raw", free_text=True),
    Option("kwargs", "dict", "Its keyword arguments.", {}, free_text=True),
    Option("queue", "str", "Its queue. Empty for where the application routes it.", Requeue.queue),
    Option(
        "countdown",
        "list",
        (
            "The durations between which the task's countdown lies, evenly at random, so that not all tasks start at"
            " once: such as C([10s, 5min]). One alone is the longest. Empty for tasks that start at once.",
            "Both are doubled for each attempt that C(attempts_column) has counted, until the longest is"
            " O(countdown_max).",
        ),
        Requeue.countdown,
        elements="str",
    ),
    Option(
        "countdown_max",
        "duration",
        f"The longest countdown, at most {LONGEST_COUNTDOWN / 60:g}min: a worker holds such a task unacknowledged, and"
        " by default RabbitMQ delivers it again after 30 minutes, Redis after an hour.",
        f"{Requeue.countdown_max / 60:g}min",
    ),
    Option(
        "revoke",
        "bool",
        (
            "Whether the workers are first told to drop the job's old task (C(task_id_column) of C(celery)), should it"
            " still arrive. They forget that when they all restart, unless they have a C(--statedb).",
            "If they can't be told, the new task is not sent either.",
        ),
        Requeue.revoke,
    ),
)

NAME = Option("name", "str", "The name of the database in messages, and in the names of records.", required=True)
COMMON = (
    Option("table", "str", "The table of the jobs.", required=True),
    Option(
        "id_column",
        "list",
        "The column that identifies a job: the primary key, or one that is unique. Several for a composite key.",
        Database.id_column,
        elements="str",
    ),
    Option("status_column", "str", "The column of the status.", Database.status_column),
    Option(
        "time_column",
        "str",
        (
            "The column that says since when a job has had its status, or when it last took a step.",
            "A time of creation would make a job that waited for long look stuck as soon as it starts.",
        ),
        Database.time_column,
    ),
    Option(
        "fallback_time_column",
        "str",
        "The column to look at where O(time_column) is NULL, such as V(created_at).",
        Database.fallback_time_column,
    ),
    Option(
        "heartbeat_column",
        "str",
        "Another time that has to be older than O(threshold), such as one that a worker updates while it works on the"
        " job. Where it is NULL, O(time_column) alone counts. Empty for none.",
        Database.heartbeat_column,
    ),
    Option(
        "time_zone",
        "str",
        "The zone of timestamps without an offset, by its name in the tz database.",
        Database.time_zone,
    ),
    Option(
        "stuck_statuses",
        "list",
        "The statuses in which a job can be stuck.",
        Database.stuck_statuses,
        elements="raw",
    ),
    Option(
        "only",
        "dict",
        "The values that other columns of a job have to have: C({deleted_at: null, kind: [photo, video]}) leaves alone"
        " the soft-deleted ones, and those of other kinds.",
        {},
        free_text=True,
    ),
    Option(
        "threshold",
        "duration",
        "The age from which a job is stuck: longer than any job takes from one step to the next.",
        Database.threshold,
    ),
    Option("thresholds", "dict", "Other thresholds, by the value of O(threshold_column).", {}),
    Option(
        "threshold_column",
        "str",
        "The column whose values O(thresholds) has, such as that of the queue. Empty for the status column.",
        Database.threshold_column,
    ),
    Option(
        "action",
        "str",
        "What is done with a stuck job. All of it can be undone from the record of the run.",
        Database.action.name,
        choices=tuple(ACTIONS),
    ),
    *_of_actions(of_job=True),
    Option(
        "error_column",
        "str",
        "A column that gets O(error_message) when a job is failed. Empty for none.",
        Database.error_column,
    ),
    Option("error_mode", "str", ERROR_MODE, Database.error_mode, choices=ERROR_MODES),
    Option(
        "error_message",
        "str",
        "The message in O(error_column). It may hold C({id}), C({status}), C({age}) and C({attempts}).",
        Database.error_message,
        free_text=True,
    ),
    Option("attempts_column", "str", "A column that counts the attempts. Empty for none.", Database.attempts_column),
    Option(
        "count_attempts",
        "bool",
        "Whether a reset adds one to O(attempts_column). V(false) where the application counts.",
        Database.count_attempts,
    ),
    Option(
        "max_attempts",
        "int",
        (
            "After this many attempts, a job is failed instead of reset. V(0) for no limit.",
            "Without a limit, a job that kills its worker comes back for ever.",
        ),
        Database.max_attempts,
    ),
    Option(
        "jobs",
        "list",
        (
            "Only these jobs, by their ids or unambiguous beginnings of them, whatever their age. They still have to"
            " be stuck.",
            "A binary id is written in hex, a composite one with V(/) between its parts.",
        ),
        Database.jobs,
        elements="str",
    ),
    Option("respect_age", "bool", "Whether O(jobs), too, have to be older than O(threshold).", Database.respect_age),
    Option(
        "children",
        "list",
        (
            "Tables whose rows belong to a job and go the same way with it.",
            "Each may have C(children) of its own, with the same options.",
        ),
        Database.children,
        elements="dict",
        options=CHILD,
    ),
    Option(
        "celery",
        "dict",
        (
            "The application whose workers are asked what they are doing. A job that one of them is executing, has"
            " reserved or has scheduled is not stuck, whatever its age.",
            "Databases that have the same application, but for O(celery.task_id_column) and O(celery.unreachable), are"
            " served by one answer.",
            "Each worker needs a node name of its own (C(celery worker -n)). Where several share one, it is only known"
            " what they are doing if all of them answer every question.",
        ),
        options=CELERY,
    ),
    Option(
        "requeue",
        "dict",
        (
            "The task to send, through O(celery), for each job that was reset, once the reset is committed.",
            "If it can't be sent, the rows are put back as they were, for the next run to find.",
        ),
        options=REQUEUE,
    ),
    Option(
        "busy_timeout",
        "duration",
        "How long to wait for another process that holds the database.",
        f"{Database.busy_timeout:g}s",
    ),
    Option(
        "time_limit",
        "duration",
        (
            "How long its clean-up may take, with all waiting. Then it is ended, and the next database is cleaned up."
            " Half of that time it waits for another clean-up of this database to end.",
            "What was done until then is complete and recorded, and the next run goes on.",
        ),
        "10min",
    ),
    Option(
        "memory_limit",
        "size",
        "How much memory its clean-up may use, such as for rows with large texts. Not for the application's own code.",
        format_size(Database.memory_limit),
    ),
    Option(
        "record_directory",
        "path",
        (
            "Where the record of each run is kept, in a directory of the database's owner.",
            "Root makes that one for the owner, but only in a directory of root's.",
        ),
        Database.record_directory,
    ),
)


def _databases(login: tuple[Option, ...]) -> Option:
    return Option(
        "databases",
        "list",
        "The databases. One database with two kinds of jobs is two entries.",
        required=True,
        elements="dict",
        options=(NAME, *login, *COMMON),
    )


SQLITE_DATABASES = _databases(sqlite.LOGIN)
POSTGRESQL_DATABASES = _databases((*postgresql.LOGIN, postgresql.PASSWORD))


def _of(kind: str, login: Iterable[Option]) -> Iterator[Option]:
    """The options of one kind of database, where entries may be of either."""
    for option in login:
        first, *rest = option.sentences
        yield replace(option, description=(f"{kind}: {first[0].lower()}{first[1:]}", *rest), required=False)


DATABASE = (NAME, *_of("SQLite", sqlite.LOGIN), *_of("PostgreSQL", postgresql.LOGIN), *COMMON)
DATABASES = replace(SQLITE_DATABASES, options=(*DATABASE, postgresql.PASSWORD))
ASK_WORKERS = Option(
    "ask_workers",
    "bool",
    (
        "V(false) checks only the options and the databases, whatever O(databases[].celery) is. There may be no worker"
        " yet.",
        "V(false) needs check mode, as active jobs may then look stuck.",
    ),
    True,
)
