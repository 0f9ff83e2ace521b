"""What a caller concludes from the answers of several hosts, in whatever order and however often they come."""

from datetime import UTC, datetime
from functools import reduce
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from signalbox.client.receipts import Collected, Patience, decisive
from signalbox.messages.events import CommandDone
from signalbox.messages.receipts import Answered, AnyReceipt, Progressed, Recorded
from signalbox.messages.verdicts import MEANING, Verdict, severity
from signalbox_controller.cancelling.proof import verdict_of_host
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.conclusion import conclude, infer_verdicts
from signalbox_reconciler.fold.merge import merge_answer
from support.examples import examples

AT = datetime(2026, 11, 23, tzinfo=UTC)
PATIENCE = Patience(answers=10.0, record=2.0)
HOSTS = "abcd"
#: What hosts say of a cancel.
OF_A_CANCEL = [verdict for verdict in MEANING if verdict not in {"stopped", "started", "incomplete"}]

#: One word of each host; some stay silent, and some are not expected.
WORDS = st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(OF_A_CANCEL))
EXPECTED = st.frozensets(st.sampled_from(HOSTS))
#: Seconds between two receipts.
GAPS = st.sampled_from([0.0, 0.1, 0.4, 3.0])


def said(host: str, verdict: Verdict) -> Answered:
    return Answered(command_id="c", at=AT, host=host, verdict=verdict)


def heard(hosts: frozenset[str], receipts: list[tuple[float, AnyReceipt]]) -> Collected:
    collected = Collected(hosts)
    for at, receipt in receipts:
        collected.note(receipt, at)
    return collected


@examples(100)
@given(words=WORDS, hosts=EXPECTED, data=st.data())
def test_no_order_and_no_repetition_changes_what_the_answers_amount_to(
    words: dict[str, Verdict], hosts: frozenset[str], data: st.DataObject
) -> None:
    answers: list[AnyReceipt] = [said(host, verdict) for host, verdict in words.items()]
    around: list[AnyReceipt] = [Progressed(command_id="c", at=AT, host=host, done=1, total=2) for host in words]
    again = data.draw(st.lists(st.sampled_from(answers), max_size=4)) if answers else []
    shuffled = data.draw(st.permutations([*answers, *again]))
    times = accumulate(data.draw(GAPS) for _ in shuffled)
    one, other = heard(hosts, [(1.0, a) for a in answers]), heard(hosts, list(zip(times, shuffled, strict=True)))
    assert (one.answers, one.silent, one.complete) == (other.answers, other.silent, other.complete)
    # Of answers that weigh the same, any may be the one that is shown.
    assert (one.answer and one.answer.verdict) == (other.answer and other.answer.verdict)
    assert (one.proven, one.all_recorded) == (other.proven, other.all_recorded)
    assert heard(hosts, [(1.0, receipt) for receipt in around]).answers == {}


@examples(200)
@given(words=WORDS, hosts=EXPECTED)
def test_the_worst_news_wins_and_nothing_is_proven_against_it(words: dict[str, Verdict], hosts: frozenset[str]) -> None:
    collected = heard(hosts, [(1.0, said(host, verdict)) for host, verdict in words.items()])
    open_yet = not words or (hosts - words.keys() and set(words.values()) <= {"unknown", "refused"})
    assert (collected.answer is None) == bool(open_yet)
    if collected.answer is not None:
        assert collected.answer.verdict == max(words.values(), key=severity)
    bad = {"alive", "unproven", "unsupported"}
    assert not (collected.proven and bad & set(words.values()))


@examples(200)
@given(words=WORDS, hosts=EXPECTED, data=st.data())
def test_listening_always_ends_and_never_before_a_silent_host_had_its_time(
    words: dict[str, Verdict], hosts: frozenset[str], data: st.DataObject
) -> None:
    collected, now = Collected(hosts), 0.0
    decided: list[float] = []
    receipts: list[AnyReceipt] = [said(host, verdict) for host, verdict in words.items()]
    receipts += [Recorded(command_id="c", at=AT, host=host) for host in words]
    for receipt in data.draw(st.permutations(receipts)):
        now += data.draw(GAPS)
        collected.note(receipt, now)
        decided += [now] if isinstance(receipt, Answered) and decisive(receipt) else []
        end = collected.ends_at(PATIENCE)
        assert end <= max(PATIENCE.answers, (collected.completed_at or 0.0) + PATIENCE.record)
        if collected.silent:
            assert end == min([PATIENCE.answers, *(at + PATIENCE.stragglers for at in decided)])


@examples(200)
@given(st.lists(st.sampled_from(OF_A_CANCEL), min_size=1, max_size=4), st.data())
def test_the_trail_and_the_caller_conclude_the_same(verdicts: list[Verdict], data: st.DataObject) -> None:
    words = dict(zip(HOSTS, verdicts, strict=False))
    answer = heard(frozenset(words), [(1.0, said(*word)) for word in words.items()]).answer
    done = [CommandDone(at=AT, host=host, command_id="c", task_id="t", verdict=word) for host, word in words.items()]
    batch = fold(data.draw(st.permutations([*done, *done])))
    answers, told = list(batch.answers.values()), list(batch.verdicts.values())
    state = reduce(merge_answer, told).verdict if told else infer_verdicts(answers, words).not_waiting
    assert answer is not None
    assert state is not None
    assert conclude(answers, {state: 1}, AT).state == state == answer.verdict


@examples(200)
@given(st.lists(st.sampled_from([verdict for verdict in OF_A_CANCEL if verdict != "refused"])), st.data())
def test_a_host_never_claims_a_proof_while_one_of_its_workers_says_that_the_task_lives(
    results: list[Verdict], data: st.DataObject
) -> None:
    verdict = verdict_of_host(results)
    assert verdict_of_host(data.draw(st.permutations(results))) == verdict
    if {"alive", "unsupported"} & set(results):
        assert verdict in {"alive", "unsupported"}
    if "unproven" in results:
        assert verdict != "unknown"
