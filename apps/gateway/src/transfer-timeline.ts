// One timeline of a transfer from what this gateway's log and the banks know of it. Pure.

import { formatAmount } from '@strife/ledger';
import { declineReasonForPayee, declineReasonFromWire, declineReasonToWire, gatewayOfLog } from '@strife/service';
import type { DecisionHistory, ProcessStart } from '@strife/storage';
import { LegEnd } from '@strife/stubs/bank';
import type { LegAttempt, ProcessStart as WireStart } from '@strife/stubs/bank';
import { TransferEventKind } from '@strife/stubs/gateway';
import type { ExplainTransferResponse, MissingPlace, Transfer, TransferEvent } from '@strife/stubs/gateway';
import { DeclineReason, TransferState } from '@strife/stubs/type';
import { banksOf } from '@strife/two-phase-commit';
import type { TransferBody, TransferId, TransferRequest, TransientReason } from '@strife/two-phase-commit';

/** What one bank told, or why it told nothing. */
export type BankStory =
  | { readonly kind: 'told'; readonly attempts: readonly LegAttempt[]; readonly starts: readonly WireStart[] }
  | { readonly kind: 'missing'; readonly detail: string };

export interface TimelineSources {
  readonly id: TransferId;
  readonly body: TransferBody;
  /** This gateway's name, and the name of its log. */
  readonly gateway: string;
  readonly logId: string;
  /** Whether the payer asks. The payee learns neither why the payer's bank declined, nor when processes started or crashed. */
  readonly isForPayer: boolean;
  /** The other gateways that are registered, whose logs are not asked; undefined when it is not known who they are. */
  readonly otherGateways: readonly string[] | undefined;
  /** What its log has about this very body. */
  readonly decided: DecisionHistory | undefined;
  /** The attempt that is under way there. */
  readonly running: TransferRequest | undefined;
  readonly startsSince: (atMs: number) => readonly ProcessStart[];
  /** One for each bank of the body. */
  readonly banks: ReadonlyMap<string, BankStory>;
  readonly nowMs: number;
}

export function timelineOf(sources: TimelineSources): ExplainTransferResponse {
  const steps = [...gatewaySteps(sources), ...[...sources.banks].flatMap(([bank, story]) => bankSteps(bank, story, sources))];
  const moments = steps.map(({ atUnixMs }) => Number(atUnixMs)).filter((atMs) => atMs > 0);
  const fromMs = Math.min(...moments);
  const toMs = isOver(sources) ? Math.max(...moments) : sources.nowMs;
  const starts = moments.length === 0 || !sources.isForPayer ? [] : allStarts(sources, fromMs).filter(({ atUnixMs }) => atUnixMs >= fromMs && atUnixMs <= toMs);
  const transfer = transferOf(sources, moments.length === 0 ? sources.nowMs : fromMs);
  return { transfer, events: [...steps, ...starts].sort(byTime), missing: missingPlaces(sources, transfer) };
}

function gatewaySteps(sources: TimelineSources): TransferEvent[] {
  const { gateway, body, decided, running } = sources;
  const place = `gateway ${gateway}`;
  const asks = banksOf(body).length === 1 ? `asks bank ${body.from.bank} to make it in one step` : 'asks both banks to hold their halves';
  const steps: TransferEvent[] = [];
  const begin = (attempt: number, atMs: number): void => {
    const isFirstKnown = steps.length === 0 && attempt > 1;
    const before = isFirstKnown ? `; of attempts up to ${attempt - 1} it is known only that they were given up` : '';
    steps.push(event(place, TransferEventKind.ATTEMPT, atMs, attempt, asks + before));
  };
  const giveUp = ({ attempt, why, createdAtMs, decidedAtMs }: DecisionHistory['earlier'][number], rest = ''): void => {
    // An abort by inquiry begins nothing: the attempt ran in a process that is gone, or nowhere.
    if (why !== 'inquiry') begin(attempt, createdAtMs);
    steps.push(event(place, TransferEventKind.DECIDED, decidedAtMs, attempt, `gives the attempt up, nothing moved: ${whys[why]}${rest}`));
  };
  for (const attempt of decided?.earlier ?? []) giveUp(attempt);
  if (decided !== undefined) {
    const { row, isDelivered } = decided;
    const { verdict, attempt, createdAtMs, decidedAtMs } = row;
    const rest = isDelivered ? '' : '; not acknowledged by both banks yet';
    if (verdict.outcome === 'aborted') {
      giveUp({ attempt, why: verdict.why, createdAtMs, decidedAtMs }, rest);
    } else {
      const words = verdict.outcome === 'committed' ? 'commits: both banks voted YES' : declineWords('declines', declineReasonToWire(verdict.reason), sources);
      begin(attempt, createdAtMs);
      steps.push(event(place, TransferEventKind.DECIDED, decidedAtMs, attempt, words + rest));
    }
    if (isDelivered) steps.push(event(place, TransferEventKind.ACKNOWLEDGED, 0, attempt, 'both banks did as decided; when they said so is not kept'));
  }
  if (running !== undefined) begin((decided?.row.attempt ?? 0) + 1, running.createdAtMs);
  return steps;
}

const whys = {
  timeout: 'a bank did not vote in time',
  unreachable: 'a bank could not be reached',
  busy: 'another gateway holds it at a bank',
  fenced: 'a bank had buried this attempt',
  unauthorized: "the payer's bank did not accept the login",
  mismatch: 'a bank has another transfer under this id',
  invalid: 'a bank could not read its half',
  inquiry: 'a bank asked what became of it, and it did not run any more',
} satisfies Record<TransientReason, string>;

function bankSteps(bank: string, story: BankStory, sources: TimelineSources): TransferEvent[] {
  if (story.kind === 'missing') return [];
  const { body } = sources;
  const place = `bank ${bank}`;
  const amount = `${formatAmount({ currency: body.currency, minorUnits: body.amountMinor })} ${body.currency}`;
  return story.attempts.flatMap((leg, index) => {
    const { attempt, preparedAtUnixMs, endedAtUnixMs, end, logId } = leg;
    const steps: TransferEvent[] = [];
    if (preparedAtUnixMs > 0n) {
      const before = story.attempts[index - 1];
      const held = body.from.bank === bank ? `holds ${amount} of ${body.from.account}` : `keeps room for ${amount} for ${body.to.account}`;
      const holds = before?.end === LegEnd.TAKEN_OVER ? `goes on with what attempt ${before.attempt} held` : held;
      const waits = end === LegEnd.UNSPECIFIED ? `, bound until ${ownerOf(logId)} decides` : '';
      steps.push(event(place, TransferEventKind.PREPARED, Number(preparedAtUnixMs), attempt, `${holds}, votes YES${waits}`));
    }
    const ended = endOf(bank, leg, sources, amount);
    if (ended !== undefined) steps.push(event(place, ended.kind, Number(endedAtUnixMs), attempt, ended.detail));
    return steps;
  });
}

function endOf(bank: string, { end, reason, preparedAtUnixMs }: LegAttempt, sources: TimelineSources, amount: string): { kind: TransferEventKind; detail: string } | undefined {
  const { from, to } = sources.body;
  const release = from.bank === bank ? `releases ${amount} to ${from.account}` : 'gives its room up';
  switch (end) {
    case LegEnd.SETTLED: {
      const took = `takes ${amount} from ${from.account}`;
      const gave = `gives ${amount} to ${to.account}`;
      return { kind: TransferEventKind.SETTLED, detail: from.bank === to.bank ? `${took} and ${gave}` : from.bank === bank ? took : gave };
    }
    case LegEnd.RELEASED:
      return { kind: TransferEventKind.RELEASED, detail: release };
    case LegEnd.FENCED:
      return { kind: TransferEventKind.FENCED, detail: 'held nothing, and will hold nothing for this attempt or an earlier one' };
    case LegEnd.DECLINED: {
      const words = declineWords('declined', reason, sources);
      return { kind: TransferEventKind.DECLINED, detail: preparedAtUnixMs > 0n ? `${release}; ${words}` : words };
    }
    default:
      return undefined;
  }
}

function declineWords(verb: string, reason: DeclineReason, { isForPayer }: Pick<TimelineSources, 'isForPayer'>): string {
  const name = declineReasonFromWire(isForPayer ? reason : declineReasonForPayee(reason));
  if (name === undefined && !isForPayer) return "declined by the payer's bank";
  return `${verb} for ever: ${(name ?? 'a reason that is not known here').replaceAll('_', ' ')}`;
}

function missingPlaces(sources: TimelineSources, { state }: Transfer): MissingPlace[] {
  const missing = missingWitnesses(sources);
  if (state !== TransferState.PENDING) return missing;
  const rest = isGivenUp(sources)
    ? `given up at gateway ${sources.gateway}; this one was not asked and may still hold it: do not pay again under another id`
    : 'its log was not asked';
  const others = sources.otherGateways?.map((gateway) => `gateway ${gateway}`) ?? ['other gateways'];
  const named = new Set(missing.map(({ place }) => place));
  return [...missing, ...others.filter((place) => !named.has(place)).map((place) => ({ place, detail: rest }))];
}

/** Those whose part in what is known was not heard. */
function missingWitnesses({ banks, body, logId }: TimelineSources): MissingPlace[] {
  const missing: MissingPlace[] = [...banks].flatMap(([bank, story]) => (story.kind === 'missing' ? [{ place: `bank ${bank}`, detail: story.detail }] : []));
  if (banksOf(body).length === 1) return missing;
  const logs = new Set(allAttempts(banks).flatMap((attempt) => (attempt.logId === '' || attempt.logId === logId ? [] : [attempt.logId])));
  for (const log of logs) missing.push({ place: ownerOf(log), detail: 'what it did is in its own log: ask that gateway' });
  return missing;
}

function ownerOf(logId: string): string {
  const gateway = gatewayOfLog(logId);
  return gateway === undefined ? `decision log ${logId}` : `gateway ${gateway}`;
}

/** Whether nothing more will happen, as far as is known. */
function isOver({ banks, running, decided }: TimelineSources): boolean {
  if (running !== undefined || decided?.isDelivered === false) return false;
  return [...banks.values()].every((story) => story.kind === 'told' && story.attempts.at(-1)?.end !== LegEnd.UNSPECIFIED);
}

function allAttempts(banks: TimelineSources['banks']): LegAttempt[] {
  return [...banks.values()].flatMap((story) => (story.kind === 'told' ? story.attempts : []));
}

function allStarts({ gateway, startsSince, banks }: TimelineSources, fromMs: number): TransferEvent[] {
  const own = startsSince(fromMs).map(({ startedAtMs, before }) => {
    return started(`gateway ${gateway}`, startedAtMs, before.kind === 'nothing', before.kind === 'stopped' ? before.atMs : 0);
  });
  const theirs = [...banks].flatMap(([bank, story]) => {
    if (story.kind === 'missing') return [];
    return story.starts.map(({ startedAtUnixMs, isFirst, stoppedAtUnixMs }) => started(`bank ${bank}`, Number(startedAtUnixMs), isFirst, Number(stoppedAtUnixMs)));
  });
  return [...own, ...theirs];
}

function started(place: string, atMs: number, isFirst: boolean, stoppedAtMs: number): TransferEvent {
  const again = stoppedAtMs > 0 ? `starts again after a clean stop at ${new Date(stoppedAtMs).toISOString()}` : 'starts again after it was killed or crashed';
  return event(place, TransferEventKind.STARTED, atMs, 0, isFirst ? 'starts for the first time' : again);
}

function transferOf(sources: TimelineSources, createdAtMs: number): Transfer {
  const { id, body, isForPayer } = sources;
  const { from, to, currency, amountMinor, memo } = body;
  const { declineReason = DeclineReason.UNSPECIFIED, ...outcome } = outcomeOf(sources);
  return {
    id, from, to, memo,
    amount: { currency, minorUnits: amountMinor },
    replayed: false,
    createdAtUnixMs: BigInt(createdAtMs),
    decidedAtUnixMs: 0n,
    ...outcome,
    declineReason: isForPayer ? declineReason : declineReasonForPayee(declineReason),
  };
}

/** What is certain: a decision here, or what a bank did, which only a decision leads to. */
function outcomeOf(sources: TimelineSources): Pick<Transfer, 'state'> & Partial<Pick<Transfer, 'declineReason' | 'decidedAtUnixMs'>> {
  const { decided, banks, otherGateways } = sources;
  const row = decided?.row;
  if (row?.verdict.outcome === 'committed') return { state: TransferState.SUCCEEDED, decidedAtUnixMs: BigInt(row.decidedAtMs) };
  if (row?.verdict.outcome === 'declined') {
    return { state: TransferState.DECLINED, declineReason: declineReasonToWire(row.verdict.reason), decidedAtUnixMs: BigInt(row.decidedAtMs) };
  }
  const attempts = allAttempts(banks);
  const settled = attempts.find(({ end }) => end === LegEnd.SETTLED);
  if (settled !== undefined) return { state: TransferState.SUCCEEDED, decidedAtUnixMs: settled.endedAtUnixMs };
  const declined = attempts.find(({ end }) => end === LegEnd.DECLINED);
  if (declined !== undefined) return { state: TransferState.DECLINED, declineReason: declined.reason, decidedAtUnixMs: declined.endedAtUnixMs };
  // A repeat of the client may lie unread at another gateway, which has a log of its own and may still commit it.
  const isAlone = otherGateways?.length === 0;
  return { state: isAlone && isGivenUp(sources) ? TransferState.NOT_APPLIED : TransferState.PENDING };
}

/** Whether all that was begun, as far as is known here, was given up; of what is not decided for good. */
function isGivenUp({ body, running, banks }: TimelineSources): boolean {
  // Money moves only from what the payer's bank holds, so that bank's word is enough, and none is not.
  const isSeen = banks.get(body.from.bank)?.kind === 'told';
  return running === undefined && isSeen && allAttempts(banks).every(({ end }) => end !== LegEnd.UNSPECIFIED);
}

function event(place: string, kind: TransferEventKind, atMs: number, attempt: number, detail: string): TransferEvent {
  return { atUnixMs: BigInt(atMs), place, kind, attempt, detail };
}

/** What is not known when goes last. Within one millisecond: causes first. */
function byTime(one: TransferEvent, other: TransferEvent): number {
  if (one.atUnixMs !== other.atUnixMs) {
    if (one.atUnixMs === 0n || other.atUnixMs === 0n) return one.atUnixMs === 0n ? 1 : -1;
    return one.atUnixMs < other.atUnixMs ? -1 : 1;
  }
  return one.attempt - other.attempt || one.kind - other.kind;
}
