// Holds the snapshots of a cluster against each other: what must be true of stores that were seen one after the other, while payments go on.
//
// A payment that one store has committed when it is seen is prepared or committed, by the same decision, in every store of its banks that is
// seen later, and committed in its log: both banks had voted before, and only that decision takes either out of its vote.

import type { BankSnapshot, Fact, Snapshot } from './snapshot.ts';

export interface SnapshotCheck {
  /**
   * @param snapshots of different stores, each taken after the one before it
   * @returns what is wrong, each in one line, PROBLEMS_MAX at most; none when all is well
   */
  check(snapshots: readonly Snapshot[]): string[];
}

export const PROBLEMS_MAX = 20;

/** @param seededMinor what was deposited at each bank before the first look; nothing is deposited later */
export function createSnapshotCheck(seededMinor: Readonly<Record<string, bigint>>): SnapshotCheck {
  const before = new Map<string, Snapshot>();
  return {
    check(snapshots) {
      const problems: string[] = [];
      snapshots.forEach((later, index) => {
        const report = (problem: string): void => void (problems.length < PROBLEMS_MAX && problems.push(`${later.name} at ${later.takenAt}: ${problem}`));
        if (later.role === 'bank') checkBank(later, seededMinor[later.name], report);
        const former = before.get(later.name);
        if (former !== undefined) checkSuccession(former, later, report);
        for (const earlier of snapshots.slice(0, index)) {
          checkPair(earlier, later, report);
          if (earlier.role === 'bank' && later.role === 'bank') checkClearing(earlier, later, report);
        }
        before.set(later.name, later);
      });
      return problems;
    },
  };
}

type Report = (problem: string) => void;

/** One bank by itself: invariants 1, 4 and 5, and no money but what was deposited. */
function checkBank({ audit, depositedMinor }: BankSnapshot, seededMinor: bigint | undefined, report: Report): void {
  for (const { invariant, message, ids } of audit.violations) report(`invariant ${invariant}: ${message} (${ids.join(', ')})`);
  if (depositedMinor !== seededMinor) report(`all deposits together are ${depositedMinor}, and ${seededMinor} were made`);
}

/** One store, twice: what is decided stays as it is, an attempt that is dead stays dead, and nothing is forgotten. */
function checkSuccession(former: Snapshot, later: Snapshot, report: Report): void {
  for (const [id, was] of former.facts) {
    const is = later.facts.get(id);
    if (is === undefined || !maySucceed(was, is)) report(`payment ${id} is ${describe(is)}, and at ${former.takenAt} it was ${describe(was)}`);
  }
}

function maySucceed(was: Fact, is: Fact): boolean {
  switch (was.state) {
    case 'committed':
      return is.state === 'committed' && isSameDecision(was, is);
    case 'declined':
      return is.state === 'declined';
    case 'aborted':
      return is.state === 'declined' || is.attempt > was.attempt || (is.state === 'aborted' && is.attempt === was.attempt);
    case 'prepared':
      return is.state === 'declined' || is.attempt >= was.attempt;
  }
}

/** Two stores, one seen after the other. */
function checkPair(earlier: Snapshot, later: Snapshot, report: Report): void {
  for (const [id, was] of earlier.facts) {
    const is = later.facts.get(id);
    const isRight = was.state === 'committed' ? followsCommit(was, later, is) : is?.state !== 'committed' || !rulesOut(was, earlier, is);
    if (!isRight) report(`payment ${id} is ${describe(is)}, and ${describe(was)} at ${earlier.name} at ${earlier.takenAt}`);
  }
}

function followsCommit(was: Fact, later: Snapshot, is: Fact | undefined): boolean {
  const isSame = is !== undefined && isSameDecision(was, is);
  if (later.role === 'bank' && was.banks.includes(later.name)) return isSame && (is.state === 'committed' || is.state === 'prepared');
  // Inside one bank, no log decides.
  if (later.role === 'gateway' && was.banks.length > 1 && was.log === later.log) return isSame && is.state === 'committed';
  return is?.state !== 'committed' || isSame;
}

/** Whether what a store said forbids that this commit came later. */
function rulesOut(was: Fact, { role }: Snapshot, commit: Fact): boolean {
  // Another body under the same id is another payment, until one of them is settled.
  if (was.fingerprint !== commit.fingerprint) return false;
  switch (was.state) {
    case 'declined':
      return true;
    case 'aborted':
      // A bank's fence counts for every log, a row for its own.
      return was.attempt >= commit.attempt && (role === 'bank' || was.log === commit.log);
    case 'prepared':
      return was.attempt > commit.attempt || (was.attempt === commit.attempt && was.log !== commit.log);
    case 'committed':
      return false;
  }
}

/** Clearing accounts are opposite, but for exactly those payments that one of the two has settled and the other has not. */
function checkClearing(one: BankSnapshot, other: BankSnapshot, report: Report): void {
  const apart = new Map<string, bigint>();
  const add = (currency: string, minor: bigint): void => void apart.set(currency, (apart.get(currency) ?? 0n) + minor);
  for (const [bank, peer] of [[one, other], [other, one]] as const) {
    const towards = `${peer.name}/`;
    for (const [account, minor] of bank.clearing) if (account.startsWith(towards)) add(account.slice(towards.length), minor);
    for (const [id, { state, clearing }] of bank.facts) {
      if (state !== 'committed' || clearing?.account.startsWith(towards) !== true || peer.facts.get(id)?.state === 'committed') continue;
      add(clearing.account.slice(towards.length), -clearing.minor);
    }
  }
  for (const [currency, minor] of apart) {
    if (minor !== 0n) report(`its clearing account towards ${one.name} in ${currency} and that one's of ${one.takenAt} are ${minor} further apart than what one of the two has yet to settle`);
  }
}

function isSameDecision(one: Fact, other: Fact): boolean {
  return one.attempt === other.attempt && one.log === other.log && one.fingerprint === other.fingerprint;
}

function describe(fact: Fact | undefined): string {
  return fact === undefined ? 'absent' : `${fact.state} (attempt ${fact.attempt}, log ${fact.log ?? 'none'}, body ${fact.fingerprint.slice(0, 8)})`;
}
