// Single-point mutations of the code that keeps the promises. Each breaks one rule; the simulator must find every one of them.

import type { WorldSize } from './plan.ts';

export interface PlantedBug {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Text that is in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** The rule of docs/PROTOCOL.md that it breaks. */
  readonly breaks: string;
  /** Where it shows; `small` unless it says otherwise. */
  readonly world?: WorldSize;
}

const COORDINATOR_MACHINE = 'libs/two-phase-commit/src/protocol/coordinator-machine.ts';
const PARTICIPANT_MACHINE = 'libs/two-phase-commit/src/protocol/participant-machine.ts';
const DECISION_RULES = 'libs/two-phase-commit/src/protocol/decision-rules.ts';
const VOCABULARY = 'libs/two-phase-commit/src/protocol/vocabulary.ts';
const COORDINATOR = 'libs/two-phase-commit/src/coordinator.ts';
const RECOVERY = 'libs/two-phase-commit/src/recovery.ts';
const INQUIRIES = 'libs/two-phase-commit/src/answer-inquiries.ts';
const PARTICIPANT = 'libs/two-phase-commit/src/participant.ts';
const INQUIRER = 'libs/two-phase-commit/src/inquirer.ts';
const BANK_LINE = 'libs/two-phase-commit/src/bank-line.ts';
const LEDGER = 'libs/ledger/src/ledger.ts';
const RESOURCE = 'libs/storage/src/ledger-resource.ts';
const MEMORY_LOG = 'tools/simulator/src/ports/memory-decision-log.ts';

export const PLANTED_BUGS: readonly PlantedBug[] = [
  // The coordinator's rules.
  {
    name: 'commits-on-one-yes', file: COORDINATOR_MACHINE, breaks: 'A decision COMMITTED needs YES from both banks',
    find: 'return prepared.length === 0 ?', replace: 'return prepared.length < 0 ?',
  },
  {
    name: 'counts-one-yes-twice', file: COORDINATOR_MACHINE, breaks: 'Messages repeated have no effect',
    find: 'if (prepared.includes(bank)) return stepTo(state);', replace: 'if (!prepared.includes(bank)) return propose(state, COMMITTED);',
  },
  {
    name: 'timeout-of-one-phase-is-not-applied', file: COORDINATOR_MACHINE, breaks: 'Where the bank stays silent the outcome is UNKNOWN',
    find: "return answer({ kind: 'unknown' });\n  return propose(state, { outcome: 'aborted', why: 'timeout' });", replace: "return answer({ kind: 'declined', reason: 'timeout', replayed: false });\n  return propose(state, { outcome: 'aborted', why: 'timeout' });",
  },
  {
    name: 'silence-of-one-phase-is-a-decline', file: COORDINATOR_MACHINE, breaks: 'Where the bank stays silent the outcome is UNKNOWN',
    find: "    case 'yes': // No bank promises anything about a transfer that it can apply by itself.\n      return { kind: 'unknown' };", replace: "    case 'yes':\n      return { kind: 'declined', reason: 'silence', replayed: false };",
  },
  {
    name: 'tells-commit-before-the-row', file: COORDINATOR_MACHINE, breaks: 'The decision row is durable before the client hears the outcome',
    find: 'persist, send: NOTHING, reply: undefined,', replace: "persist, send: NOTHING, reply: verdict.outcome === 'committed' ? { kind: 'succeeded' as const, replayed: false } : undefined,",
  },
  {
    name: 'tells-abort-before-the-row', file: COORDINATOR_MACHINE, breaks: 'Whoever wants to act on an abort inserts it first and obeys the row',
    find: 'persist, send: NOTHING, reply: undefined,', replace: "persist, send: NOTHING, reply: verdict.outcome === 'aborted' ? { kind: 'not-applied' as const, why: verdict.why } : undefined,",
  },
  {
    name: 'timeout-commits', file: COORDINATOR_MACHINE, breaks: 'A timeout is an abort',
    find: "return propose(state, { outcome: 'aborted', why: 'timeout' });", replace: "return propose(state, state.prepared.length > 0 ? { outcome: 'committed' } : { outcome: 'aborted', why: 'timeout' });",
  },
  {
    name: 'busy-is-a-decline', file: COORDINATOR_MACHINE, breaks: 'BUSY ends the attempt as transient: the coordinator that holds the leg may still commit',
    find: "    case 'busy':\n    case 'unauthorized':\n    case 'invalid':\n      return propose(state, { outcome: 'aborted', why: vote.kind });", replace: "    case 'busy':\n    case 'unauthorized':\n    case 'invalid':\n      return propose(state, { outcome: 'declined', reason: vote.kind });",
  },
  {
    name: 'other-body-obeyed', file: COORDINATOR_MACHINE, breaks: 'A row about another body aborts this one',
    find: 'if (row.fingerprint !== request.fingerprint) {\n    // The log decided', replace: 'if (row.fingerprint.length === 0) {\n    // The log decided',
  },
  {
    name: 'replays-another-body', file: COORDINATOR_MACHINE, breaks: 'Same id with another fingerprint: MISMATCH, always',
    find: 'if (row !== undefined && row.fingerprint !== request.fingerprint) return answer(mismatchOf(row, request));', replace: '',
  },
  {
    name: 'attempt-not-raised', file: COORDINATOR_MACHINE, breaks: 'A retry with the same id opens the next attempt',
    find: 'const attempt = row === undefined ? 1 : row.attempt + 1;', replace: 'const attempt = row === undefined ? 1 : row.attempt;',
  },
  {
    name: 'done-after-one-acknowledgement', file: COORDINATOR_MACHINE, breaks: 'Decide is repeated until both banks acknowledged, for ever',
    find: 'if (remaining.length > 1) return', replace: 'if (remaining.length > 2) return',
  },
  // The compare-and-set and inquiries.
  {
    name: 'buried-attempt-commits', file: DECISION_RULES, breaks: 'A commit needs exactly the attempt after the last aborted one',
    find: "? proposal.attempt > buried : proposal.attempt === buried + 1", replace: "? proposal.attempt > buried : proposal.attempt >= buried",
  },
  {
    name: 'every-row-may-be-replaced', file: DECISION_RULES, breaks: "The log's first durable row for (id, attempt) wins",
    find: 'const buried = row === undefined ? 0 : row.attempt;', replace: 'if (proposal.attempt > 0) return true;\n  const buried = row === undefined ? 0 : row.attempt;',
  },
  {
    name: 'abort-over-the-same-attempt', file: DECISION_RULES, breaks: 'An abort at n needs a row below n',
    find: "? proposal.attempt > buried :", replace: "? proposal.attempt >= buried :",
  },
  {
    name: 'inquiry-answered-unwritten', file: DECISION_RULES, breaks: 'An inquiry without a row inserts ABORTED before it is answered',
    find: "return { kind: 'write-first', proposal: { ...inquiry, verdict: { outcome: 'aborted', why: 'inquiry' } } };", replace: "return { kind: 'aborted', attempt };",
  },
  {
    name: 'inquiry-about-a-lower-attempt-commits', file: DECISION_RULES, breaks: 'An attempt below that of the row is ABORTED',
    find: "row.attempt === attempt ? { kind: 'committed', attempt } : aborted", replace: "{ kind: 'committed', attempt }", world: 'large',
  },
  {
    name: 'inquiry-presumes-commit', file: DECISION_RULES, breaks: '"I do not know this transfer" is never a yes',
    find: "if (row !== undefined && row.attempt >= attempt) return aborted;", replace: "if (row !== undefined && row.attempt >= attempt) return { kind: 'committed', attempt };",
  },
  {
    name: 'inquiry-pending-for-ever', file: DECISION_RULES, breaks: 'No row and the deadline passed: insert ABORTED',
    find: "if (mayStillRun) return { kind: 'pending' };", replace: "return { kind: 'pending' };",
  },
  {
    name: 'abort-loses-its-reason', file: VOCABULARY, breaks: 'An Abort that carries a definite reason closes the id at the other bank too',
    find: "return { outcome: 'aborted', attempt, fingerprint, reason: verdict.reason };", replace: "return { outcome: 'committed', attempt, fingerprint };",
  },
  // The participant's rules.
  {
    name: 'fence-forgotten', file: PARTICIPANT_MACHINE, breaks: 'Prepare(n) at fence(m) with n <= m: FENCED(m)',
    find: 'return message.attempt > state.attempt\n', replace: 'return message.attempt >= 0\n',
  },
  {
    name: 'other-log-takes-over', file: PARTICIPANT_MACHINE, breaks: 'A prepared leg belongs to the log that prepared it',
    find: "if (message.log !== state.log) return unchanged(state, { kind: 'busy' });", replace: "if (message.log !== state.log) return unchanged({ ...state, log: message.log }, { kind: 'yes' });",
  },
  {
    name: 'lower-attempt-revived', file: PARTICIPANT_MACHINE, breaks: 'Prepare(n) at prepared(m) with n < m: FENCED(m-1)',
    find: "if (message.attempt < state.attempt) return unchanged(state, { kind: 'fenced', fence: state.attempt - 1 });", replace: '',
  },
  {
    name: 'take-over-holds-again', file: PARTICIPANT_MACHINE, breaks: 'A higher attempt takes the hold over; it does not hold twice',
    find: "return { state: { ...state, attempt: message.attempt }, effect: 'none', vote: { kind: 'yes' } };", replace: "return { state: { ...state, attempt: message.attempt }, effect: 'hold', vote: { kind: 'yes' } };",
  },
  {
    name: 'take-over-keeps-the-attempt', file: PARTICIPANT_MACHINE, breaks: 'A higher attempt takes the hold over as its own',
    find: "return { state: { ...state, attempt: message.attempt }, effect: 'none', vote: { kind: 'yes' } };", replace: "return { state, effect: 'none', vote: { kind: 'yes' } };",
  },
  {
    name: 'expired-take-over-keeps-the-hold', file: PARTICIPANT_MACHINE, breaks: 'A take-over that comes too late releases the hold and closes the id',
    find: "return { state: { kind: 'declined', fingerprint, reason }, effect: 'release', vote:", replace: "return { state: { kind: 'declined', fingerprint, reason }, effect: 'none', vote:",
  },
  {
    name: 'decline-not-kept', file: PARTICIPANT_MACHINE, breaks: 'NO(definite reason) is durable: the id is closed at this bank for ever',
    find: "return { state: { kind: 'declined', fingerprint, reason }, effect: 'none',", replace: "return { state: { kind: 'aborted', fingerprint, attempt }, effect: 'none',",
  },
  {
    name: 'commit-by-any-log', file: PARTICIPANT_MACHINE, breaks: 'Commit(n, log) of a leg that another log prepared is an invariant broken',
    find: "return unchanged(state, { kind: 'committed', replayed: true });", replace: "return unchanged(state, { kind: 'yes' });",
  },
  {
    name: 'abort-of-any-log-releases', file: PARTICIPANT_MACHINE, breaks: "Another coordinator's messages never move a prepared leg",
    find: "    case 'prepared':\n      if (state.log !== log || attempt < state.attempt) return acknowledged(state, 'none');", replace: "    case 'prepared':\n      if (attempt < state.attempt) return acknowledged(state, 'none');",
  },
  {
    name: 'old-abort-releases', file: PARTICIPANT_MACHINE, breaks: 'Abort(n) at prepared(m) with n < m: ignore',
    find: "    case 'prepared':\n      if (state.log !== log || attempt < state.attempt) return acknowledged(state, 'none');", replace: "    case 'prepared':\n      if (state.log !== log) return acknowledged(state, 'none');",
  },
  {
    name: 'abort-of-another-body-releases', file: PARTICIPANT_MACHINE, breaks: 'An Abort of another body is ignored',
    find: "if (state.fingerprint !== fingerprint) return acknowledged(state, 'none');", replace: '',
  },
  {
    name: 'mismatch-not-seen', file: PARTICIPANT_MACHINE, breaks: 'Same id with another fingerprint: MISMATCH, always',
    find: "if (state.kind !== 'absent' && state.fingerprint !== message.fingerprint) {", replace: "if (state.kind === 'committed' && state.fingerprint !== message.fingerprint) {",
  },
  {
    name: 'fence-lowered', file: PARTICIPANT_MACHINE, breaks: 'Abort(n) at fence(m): raise the fence to n if higher',
    find: 'fenceOrClose(Math.max(attempt, state.attempt), fingerprint, reason)', replace: 'fenceOrClose(attempt, fingerprint, reason)',
  },
  {
    name: 'abort-keeps-the-hold', file: PARTICIPANT_MACHINE, breaks: 'Abort(n) at prepared(m), n >= m: release, fence(n)',
    find: "return acknowledged(fenceOrClose(attempt, fingerprint, reason), 'release');", replace: "return acknowledged(fenceOrClose(attempt, fingerprint, reason), 'none');",
  },
  {
    name: 'settles-again', file: PARTICIPANT_MACHINE, breaks: 'Commit at committed by the same log: acknowledge',
    find: "return state.log === log ? acknowledged(state, 'none') : broken(`commit by log ${log} of a leg that log ${state.log} committed`);", replace: "return state.log === log ? acknowledged({ ...state }, 'settle') : broken(`commit by log ${log} of a leg that log ${state.log} committed`);",
  },
  {
    name: 'commit-of-unknown-acknowledged', file: PARTICIPANT_MACHINE, breaks: 'Abort of an unknown id writes a fence',
    find: "if (state.kind === 'absent') return acknowledged(fenceOrClose(attempt, fingerprint, reason), 'none');", replace: "if (state.kind === 'absent') return acknowledged(state, 'none');",
  },
  // The runtimes.
  {
    name: 'answers-before-the-commit', file: PARTICIPANT, breaks: 'YES is sent when the prepared leg and its hold are durable',
    find: 'const answers = await resource.write((batch) => jobs.map((job) => job.step(batch)));', replace: 'const answers: (() => void)[] = [];\n      await resource.write((batch) => jobs.forEach((job) => job.step(batch)()));',
  },
  {
    name: 'forgets-to-commit-decisions', file: PARTICIPANT, breaks: 'An acknowledgement is sent when the settled or released leg is durable',
    find: 'if (step.state !== before) {', replace: "if (step.state !== before && step.effect !== 'release') {",
  },
  {
    name: 'answers-the-first-call-only', file: PARTICIPANT, breaks: 'The bank takes all that is queued and answers all',
    find: 'for (const answer of answers) answer();', replace: 'answers[0]?.();',
  },
  {
    name: 'bank-works-once', file: PARTICIPANT, breaks: 'The bank takes all that is queued and answers all',
    find: '    working = false;\n    for (const resolve of drained)', replace: '    for (const resolve of drained)',
  },
  {
    name: 'prepared-is-not-asked-about', file: INQUIRER, breaks: 'A bank that has waited asks',
    find: 'if (waitedMs >= 0 && waitedMs < firstMs) continue;', replace: 'if (waitedMs >= 0 && waitedMs < firstMs * 1e9) continue;',
  },
  {
    name: 'inquirer-waits-for-a-clock-that-went-back', file: INQUIRER, breaks: 'Nothing stays in doubt once everything is up, whatever the clocks say',
    find: 'if (waitedMs >= 0 && waitedMs < firstMs) continue;', replace: 'if (waitedMs < firstMs) continue;',
  },
  {
    name: 'row-not-obeyed-by-runtime', file: COORDINATOR, breaks: 'The rows of a batch belong to its proposals, in order',
    find: 'const row = rows[index]!;', replace: 'const row = { ...rows[index]!, ...batch[index]! };',
  },
  {
    name: 'recovers-nothing', file: RECOVERY, breaks: 'On start decisions are re-sent, and for as long as a row is not done',
    find: 'takeUp(row, counted);', replace: 'void takeUp;',
  },
  {
    name: 'passed-over-for-good', file: RECOVERY, breaks: 'On start decisions are re-sent, and for as long as a row is not done',
    find: 'if (full.includes(bank)) passedOver.add(bank);', replace: 'if (full.includes(bank)) continue;', world: 'large',
  },
  {
    name: 'inquiry-tells-nobody-else', file: INQUIRIES, breaks: 'A decision is delivered to both banks',
    find: '      takeUp(row);\n    });\n    return answers;', replace: '    });\n    return answers;',
  },
  {
    name: 'waits-for-a-clock-that-jumped', file: INQUIRIES, breaks: 'Nothing stays in doubt once everything is up, whatever the clocks say',
    find: 'return leftMs > 0 && leftMs <= prepareTimeoutMs;', replace: 'return leftMs > 0;',
  },
  {
    name: 'row-never-finished', file: COORDINATOR, breaks: 'A row is marked done once both banks acknowledged',
    find: 'if (step.finished !== undefined) finished.push(', replace: 'if (step.finished !== undefined && runs.get(run.request.id) === run) finished.push(',
  },
  {
    name: 'done-whatever-the-attempt', file: MEMORY_LOG, breaks: 'Only the row of the attempt that was delivered is marked done',
    find: 'return disk.rows.get(id)?.attempt === attempt;', replace: 'return disk.rows.has(id) && attempt > 0;',
  },
  {
    name: 'row-of-another-body-not-delivered', file: COORDINATOR, breaks: 'On start decisions are re-sent, and for as long as a row is not done',
    find: 'return known !== undefined && willDeliver(known, row);', replace: 'return known !== undefined;',
  },
  {
    name: 'decisions-sent-once', file: BANK_LINE, breaks: 'Decide is repeated until acknowledged, for ever',
    find: 'decisions = unheard.concat(decisions);', replace: '',
  },
  {
    name: 'acknowledged-by-silence', file: BANK_LINE, breaks: 'A decision is delivered when the bank acknowledged it',
    find: 'if (answer === undefined) return false;', replace: '',
  },
  {
    name: 'votes-out-of-order', file: BANK_LINE, breaks: 'Votes belong to the legs of the call, in order',
    find: 'tell(legsNow[index]!, answer.votes[index]!);', replace: 'tell(legsNow[index]!, answer.votes[legsNow.length - 1 - index]!);',
    world: 'large',
  },
  {
    name: 'silence-is-yes', file: BANK_LINE, breaks: 'Silence is no vote',
    find: 'const silence = error instanceof OverloadedError ? UNSENT : UNREACHABLE;', replace: "const silence = { kind: 'yes' } as unknown as Silence;",
  },
  {
    name: 'failed-call-drops-its-decisions', file: BANK_LINE, breaks: 'Decide is repeated until acknowledged, for ever',
    find: 'if (decisionsNow.length > 0) again(decisionsNow);', replace: '',
  },
  {
    name: 'nobody-waits-so-never-sent', file: BANK_LINE, breaks: 'Decide is repeated until acknowledged, for ever',
    find: '      cancelPause = undefined;\n      pump();', replace: '      cancelPause = undefined;',
  },
  {
    name: 'line-stays-stuck', file: BANK_LINE, breaks: 'A busy line gathers until a reply returns',
    find: '    flights -= 1;\n    pump();', replace: '    pump();',
  },
  {
    name: 'inquirer-presumes-abort', file: INQUIRER, breaks: 'A YES vote binds: no clock at the bank releases a hold',
    find: "if (answer?.kind !== 'aborted') return undefined;", replace: "if (answer?.kind === 'write-first') return undefined;",
  },
  {
    name: 'inquirer-asks-a-log-once', file: INQUIRER, breaks: 'A bank asks until it knows',
    find: 'busy.delete(log);', replace: 'void busy;',
  },
  {
    name: 'inquirer-forgets-the-attempt', file: INQUIRER, breaks: 'A bank asks about the attempt that it holds',
    find: 'return { id, attempt, fingerprint, body: terms.body,', replace: 'return { id, attempt: attempt + 1, fingerprint, body: terms.body,',
  },
  // The ledger and the books.
  {
    name: 'held-money-spent-again', file: LEDGER, breaks: "No account's available balance is ever below its floor",
    find: 'return available(account);', replace: 'return account.posted;',
  },
  {
    name: 'hold-without-room', file: LEDGER, breaks: 'A prepared leg keeps room at its payee',
    find: 'credited: changed(to, to.posted, to.held, to.incoming + amount.minorUnits),', replace: 'credited: changed(to, to.posted, to.held, to.incoming),',
  },
  {
    name: 'release-of-half', file: LEDGER, breaks: "`held` equals the sum of the account's prepared debits",
    find: 'debited: changed(from, from.posted, from.held - amount.minorUnits, from.incoming),', replace: 'debited: changed(from, from.posted, from.held - amount.minorUnits / 2n, from.incoming),',
  },
  {
    name: 'credit-off-by-one', file: LEDGER, breaks: 'The entries of each transfer sum to zero',
    find: 'changed(to, to.posted + minor, to.held, to.incoming - minor)', replace: 'changed(to, to.posted + minor + 1n, to.held, to.incoming - minor)',
  },
  {
    name: 'entry-with-the-wrong-sign', file: LEDGER, breaks: 'The entries of each transfer sum to zero',
    find: '{ accountId: debited.id, amountMinor: -minor,', replace: '{ accountId: debited.id, amountMinor: minor,',
  },
  {
    name: 'freeze-breaks-a-promise', file: LEDGER, breaks: 'A freeze stops new legs, never prepared ones: a YES binds',
    find: 'requireTwo(from, to);\n  requirePositive(amount);', replace: "requireTwo(from, to);\n  if (from.frozen || to.frozen) throw new LedgerInvariantError('frozen');\n  requirePositive(amount);",
  },
  {
    name: 'batch-keeps-an-account-it-asked-for', file: RESOURCE, breaks: "Each leg moves its own customer's money",
    find: 'if (latestOwner?.account.name !== name) latestOwner =', replace: 'latestOwner ??=', world: 'large',
  },
  {
    name: 'batch-keeps-a-leg-it-asked-for', file: RESOURCE, breaks: 'Each leg is stepped from its own state',
    find: 'if (latestLeg?.id !== id) latestLeg =', replace: 'latestLeg ??=',
  },
  {
    name: 'entries-not-written', file: RESOURCE, breaks: 'Double entry: a settled leg writes two entries',
    find: 'books.move(id, from, to, movements[effect](from.account, to.account, amountOf(terms), terms));', replace: 'const { debited, credited } = movements[effect](from.account, to.account, amountOf(terms), terms);\n    books.move(id, from, to, { debited, credited });',
  },
  {
    name: 'ends-are-not-checked', file: RESOURCE, breaks: "A leg whose account cannot take it is declined before it is held",
    find: 'return isCredit ? mayDebit(other, amount) : mayCredit(other, amount);', replace: 'return other === undefined ? mayDebit(undefined, amount) : undefined;',
  },
  {
    name: 'legs-written-without-accounts', file: RESOURCE, breaks: 'The leg and its hold are one durable write',
    find: "if (effect !== 'none' && terms !== undefined) carryOut(", replace: "if (effect !== 'none' && effect !== 'hold' && terms !== undefined) carryOut(",
  },
];
