"""The table of a slot's moves, and its deadlines."""

import pytest

from supervisor.core.fleet import MOVES, IllegalMoveError, Slot, SlotState

_EVERY = [(old, new) for old in SlotState for new in SlotState]


@pytest.mark.parametrize(("old", "new"), _EVERY, ids=lambda state: state.value)
def test_only_the_moves_of_the_table_are_made(old: SlotState, new: SlotState) -> None:
    """A move that the table has is made; every other is refused, naming slot and states, and changes nothing."""
    slot = Slot(7, 0.0)
    slot.state = old
    if new in MOVES[old]:
        slot.move(new, 5.0, 9.0)
        assert (slot.state, slot.since, slot.deadline) == (new, 5.0, 9.0)
    else:
        with pytest.raises(IllegalMoveError, match=f"slot 7 cannot go from {old.value} to {new.value}"):
            slot.move(new, 5.0)
        assert (slot.state, slot.since) == (old, 0.0)


def test_the_table_names_every_state() -> None:
    """No state is without its row."""
    assert set(MOVES) == set(SlotState)


def test_a_new_child_inherits_nothing() -> None:
    """Counters and marks of one incarnation end with it; how often the slot died in a row does not."""
    slot = Slot(1, 0.0)
    slot.tasks, slot.failures, slot.memory, slot.generation, slot.deaths = 5, 2, 10, 3, 4
    slot.recycle = slot.others_succeeded = True
    slot.begin(1, 2.0, 62.0)
    assert (slot.tasks, slot.failures, slot.memory, slot.generation) == (0, 0, 0, 0)
    assert not slot.recycle
    assert not slot.others_succeeded
    assert (slot.deaths, slot.restarts, slot.deadline) == (4, 0, 62.0)


def test_deadlines_are_met_exactly() -> None:
    """Neither deadline nor heartbeat is due before its time; the earlier of the two is the next."""
    slot = Slot(1, 0.0)
    assert slot.next_deadline(30.0) is None
    slot.begin(1, 0.0, 60.0)
    assert slot.next_deadline(30.0) == 60.0
    slot.move(SlotState.IDLE, 1.0)
    assert slot.next_deadline(30.0) == 30.0
    slot.move(SlotState.BUSY, 1.0, 20.0)
    assert slot.next_deadline(30.0) == 20.0
    assert slot.overdue(19.9, 30.0) is None
    assert slot.overdue(20.0, 30.0) == "deadline"
    slot.deadline = 90.0
    assert slot.next_deadline(30.0) == 30.0
    assert slot.overdue(30.0, 30.0) == "heartbeat"


def test_time_in_which_nobody_could_act_is_given_back() -> None:
    """After a suspend every deadline is as far away as before it."""
    slot = Slot(1, 0.0)
    slot.begin(1, 0.0, 60.0)
    slot.postpone(100.0)
    assert (slot.deadline, slot.last_heard, slot.step_since) == (160.0, 100.0, 100.0)
    slot.deadline = None
    slot.postpone(1.0)
    assert slot.deadline is None
