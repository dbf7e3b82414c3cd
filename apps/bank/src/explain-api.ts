// strife.bank.v1.BankService, the timeline of a transfer: who may know of a leg here, and what its attempts did.

import type { Grants } from '@strife/auth';
import { declineReasonForPayee, declineReasonToWire, fingerprintFromWire, transferIdFromWire } from '@strife/service';
import { LegEnd } from '@strife/stubs/bank';
import type { BankServiceImplementation, LegAttempt as WireAttempt, LegStory, ProcessStart as WireStart, TransferTerms } from '@strife/stubs/bank';
import { DeclineReason } from '@strife/stubs/type';
import type { LedgerStore, LegAttempt, ProcessStart, StoredLeg } from '@strife/storage';
import { malformed, refuseGrant } from './login-api.ts';

const ATTEMPTS_MAX = 100;
const STARTS_MAX = 100;

export interface ExplainApiOptions {
  readonly store: Pick<LedgerStore, 'bank' | 'transfer' | 'attempts' | 'starts'>;
  readonly grants: Pick<Grants, 'verify'>;
}

export function createExplainApi({ store, grants }: ExplainApiOptions): Pick<BankServiceImplementation, 'explainTransfer'> {
  function isParty({ terms }: StoredLeg, account: string | undefined, parties: readonly ('from' | 'to')[] = ['from', 'to']): boolean {
    return terms !== undefined && parties.some((party) => terms.body[party].bank === store.bank && terms.body[party].account === account);
  }

  /** Without a grant it is a customer of another bank who asks. */
  function isForPayer(leg: StoredLeg, account: string | undefined): boolean {
    return account === undefined ? leg.terms?.body.from.bank !== store.bank : isParty(leg, account, ['from']);
  }

  return {
    async explainTransfer({ transferId, grant, fingerprint, sinceUnixMs }) {
      if (transferId.length !== 16) throw malformed('transfer_id', 'must be 16 bytes');
      const needsFingerprint = grant === '' || fingerprint.length > 0;
      if (needsFingerprint && fingerprint.length !== 16) throw malformed('fingerprint', 'must be 16 bytes, or none with a grant');
      if (sinceUnixMs < 0n) throw malformed('since_unix_ms', 'must be 0 or more');
      const account = grant === '' ? undefined : (await grants.verify(grant).catch(refuseGrant)).account;
      const id = transferIdFromWire(transferId);
      const leg = store.transfer(id);
      const named = needsFingerprint ? fingerprintFromWire(fingerprint) : undefined;
      const toParty = leg !== undefined && isParty(leg, account);
      const isTold = leg !== undefined && (toParty || ('fingerprint' in leg.state && leg.state.fingerprint === named));
      const attempts = isTold ? store.attempts(id, ATTEMPTS_MAX) : [];
      return {
        leg: isTold ? storyToWire(attempts, toParty ? leg : undefined, isForPayer(leg, account)) : undefined,
        starts: startsSince(attempts, Number(sinceUnixMs)).map(startToWire),
      };
    },
  };

  function startsSince(attempts: readonly LegAttempt[], sinceMs: number): ProcessStart[] {
    const moments = attempts.flatMap(({ preparedAtMs, end }) => preparedAtMs ?? ('atMs' in end ? end.atMs : []));
    const asked = sinceMs > 0 ? [sinceMs] : [];
    const fromMs = Math.min(...asked, ...moments);
    return Number.isFinite(fromMs) ? store.starts.since(fromMs, STARTS_MAX) : [];
  }
}

/** `leg`: only for a party. Reasons that are the payer's alone are left out where the story is not known to be for the payer. */
function storyToWire(attempts: readonly LegAttempt[], leg: StoredLeg | undefined, withPayerReasons: boolean): LegStory {
  const told = attempts.map(attemptToWire);
  return {
    terms: leg?.terms === undefined ? undefined : termsToWire(leg.terms),
    attempts: withPayerReasons ? told : told.map((attempt) => ({ ...attempt, reason: declineReasonForPayee(attempt.reason) })),
  };
}

function termsToWire({ body }: NonNullable<StoredLeg['terms']>): TransferTerms {
  const { from, to, currency, amountMinor, memo } = body;
  return { from, to, amount: { currency, minorUnits: amountMinor }, memo };
}

const ends = {
  'in-doubt': LegEnd.UNSPECIFIED,
  settled: LegEnd.SETTLED,
  released: LegEnd.RELEASED,
  fenced: LegEnd.FENCED,
  declined: LegEnd.DECLINED,
  'taken-over': LegEnd.TAKEN_OVER,
} satisfies Record<LegAttempt['end']['kind'], LegEnd>;

function attemptToWire({ attempt = 0, preparedAtMs = 0, end }: LegAttempt): WireAttempt {
  return {
    attempt,
    end: ends[end.kind],
    preparedAtUnixMs: BigInt(preparedAtMs),
    endedAtUnixMs: BigInt('atMs' in end ? end.atMs : 0),
    reason: end.kind === 'declined' ? declineReasonToWire(end.reason) : DeclineReason.UNSPECIFIED,
    logId: 'log' in end ? end.log : '',
  };
}

function startToWire({ startedAtMs, before }: ProcessStart): WireStart {
  return {
    startedAtUnixMs: BigInt(startedAtMs),
    isFirst: before.kind === 'nothing',
    stoppedAtUnixMs: BigInt(before.kind === 'stopped' ? before.atMs : 0),
  };
}
