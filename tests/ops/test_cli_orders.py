"""`sigmacast backfill` and `sigmacast orders`: what is ordered, listed, cancelled, and refused."""

import pytest

import db
from db import orders
from ops.clock import utc_now
from ops.errors import ExitCode
from tests.ops.test_cli import Shell
from tests.ops.test_cli_runs import engine, shell

__all__ = ["shell"]
TWO_DAYS = ("backfill", "--from", "2020-01-01T00", "--to", "2020-01-02T18")


def test_a_backfill_orders_each_cycle_once_and_says_how_many_there_were(shell: Shell):
    placed = shell.json(*TWO_DAYS, "--hours", "0,12", "--hindcast", "--members", "2")
    assert [one["init_time"][:13] for one in placed["placed"]] == [
        "2020-01-02T12",
        "2020-01-02T00",
        "2020-01-01T12",
        "2020-01-01T00",
    ]
    assert {(one["purpose"], one["options"]["forecast.members"]) for one in placed["placed"]} == {("hindcast", 2)}
    again = shell.json(*TWO_DAYS, "--hindcast", "--members", "2")
    assert (len(again["placed"]), again["there_already"]) == (4, 4)
    assert shell(*TWO_DAYS) == ExitCode.OK
    assert "8 cycles are ordered." in shell.out


def test_orders_are_listed_newest_first_and_those_that_are_over_when_asked_for(shell: Shell):
    shell.json(*TWO_DAYS, "--days", "1")
    listed = shell.json("orders", "--limit", "3")
    assert (listed["open"], [one["init_time"][:13] for one in listed["orders"]]) == (
        8,
        ["2020-01-02T18", "2020-01-02T12", "2020-01-02T06"],
    )
    with db.writing(engine()) as session:
        orders.end(session, listed["orders"][0]["id"], "published", utc_now())
    assert shell("orders") == ExitCode.OK
    assert "forecast.days=1.0" in shell.out and "2020-01-02 18" not in shell.out and "7 orders are open." in shell.out
    assert [one["outcome"] for one in shell.json("orders", "--all")["orders"]].count("published") == 1


def test_orders_are_cancelled_by_their_numbers_or_all_together(shell: Shell):
    numbers = [one["id"] for one in shell.json(*TWO_DAYS)["placed"]]
    assert shell.json("orders", "cancel", str(numbers[0]), str(numbers[1]))["cancelled"] == numbers[:2]
    assert shell.json("orders")["open"] == 6
    assert shell("orders", "cancel", "--all") == ExitCode.OK
    assert "6 orders are cancelled." in shell.out
    assert shell.json("orders") == {"open": 0, "orders": []}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("backfill", "--from", "2020-01-02T00", "--to", "2020-01-01T00"), ExitCode.USAGE, "--to at or after --from"),
        (("backfill", "--from", "2020-01-01T00", "--to", "2999-01-01T00"), ExitCode.USAGE, "a cycle that is over"),
        (("backfill", "--from", "2020-01-01T05", "--to", "2020-01-02T00"), ExitCode.USAGE, "--from: "),
        ((*TWO_DAYS, "--hours", "0,7"), ExitCode.USAGE, "--hours: expected some of 0,6,12,18"),
        ((*TWO_DAYS, "--members", "0"), ExitCode.USAGE, "forecast.members"),
        (
            ("backfill", "--from", "1900-01-01T00", "--to", "2020-01-01T00"),
            ExitCode.USAGE,
            "between 1 and 20000 cycles",
        ),
        (("orders", "cancel"), ExitCode.USAGE, "the numbers of orders, or --all"),
        (("orders", "cancel", "1", "--all"), ExitCode.USAGE, "the numbers of orders, or --all"),
        (("orders", "cancel", "4711"), ExitCode.NOT_FOUND, "4711"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_in_a_sentence(shell: Shell, arguments, code, told):
    assert shell(*arguments) == code
    assert told in shell.err and "Traceback" not in shell.err
