// What a test gateway keeps: accounts, sessions and transfers in memory. One may serve several test gateways.

import { randomUUID } from 'node:crypto';
import { Status } from 'nice-grpc-common';
import type { CreateTransferRequest, Transfer } from '@strife/stubs/gateway';
import { DeclineReason, TransferState, type Entry } from '@strife/stubs/type';
import { refusal } from './refusal.ts';

/** Every account's password. */
export const TEST_PASSWORD = 'correct horse';
const SESSION_MS = 60 * 60 * 1000;
const REFRESH_MS = 24 * SESSION_MS;

interface Account {
  currency: string;
  posted: bigint;
  /** Newest first. */
  entries: Entry[];
}

export interface TestLogin {
  account: string;
  token: string;
  expiresAtMs: number;
  currency: string;
  refreshToken: string;
  refreshExpiresAtMs: number;
}

/** A refresh token: whose login it belongs to, and the request that used it up. */
interface Refresh {
  family: Set<string>;
  account: string;
  used?: { requestId: string; answer: TestLogin };
}

/** Accounts by name, such as `alpha/alice`, and what happened to them. */
export interface TestBank {
  readonly accounts: ReadonlyMap<string, Account>;
  readonly transfers: ReadonlyMap<string, Transfer>;
  /** Tokens that are logged in, and whose they are. */
  readonly sessions: ReadonlyMap<string, string>;
  login(account: string, password: string): TestLogin;
  /** The same answer for the same request; another request with a used token ends the session. Throws UNAUTHENTICATED. */
  refresh(refreshToken: string, requestId: string): TestLogin;
  logout(token: string): void;
  /** The tokens given so far are refused from now on; their refresh tokens still count. */
  expireTokens(): void;
  /** The account that a token speaks for. Throws UNAUTHENTICATED. */
  payer(token: string): string;
  /** Pays, declines, or replays. Throws ALREADY_EXISTS for a used id with other content. */
  pay(payer: string, request: CreateTransferRequest): Transfer;
}

/** A bank with `alpha/alice`, `alpha/anna`, `beta/bob` and `beta/bea`: 100.00 each, in EUR (`bea`: USD). */
export function testBank(): TestBank {
  const accounts = new Map<string, Account>(
    ['alpha/alice', 'alpha/anna', 'beta/bob', 'beta/bea'].map((name) => {
      const currency = name === 'beta/bea' ? 'USD' : 'EUR';
      return [name, { currency, posted: 10_000n, entries: [openingEntry(currency)] }];
    }),
  );
  const transfers = new Map<string, Transfer>();
  const sessions = new Map<string, string>();
  const expired = new Set<string>();
  const families = new Map<string, Set<string>>();
  const refreshes = new Map<string, Refresh>();
  const begin = (name: string, family: Set<string>): TestLogin => {
    const token = randomUUID();
    const refreshToken = randomUUID();
    sessions.set(token, name);
    families.set(token, family.add(token));
    refreshes.set(refreshToken, { family, account: name });
    const { currency } = accounts.get(name)!;
    const expiresAtMs = Date.now() + SESSION_MS;
    return { account: name, token, expiresAtMs, currency, refreshToken, refreshExpiresAtMs: Date.now() + REFRESH_MS };
  };
  const end = (family: Set<string>): void => {
    for (const token of family) sessions.delete(token);
    for (const [text, refresh] of refreshes) if (refresh.family === family) refreshes.delete(text);
  };
  return {
    accounts,
    transfers,
    sessions,
    login(name, password) {
      const account = accounts.get(name);
      if (!account || password !== TEST_PASSWORD) {
        throw refusal(Status.UNAUTHENTICATED, 'wrong bank, user name or password', { reason: 'WRONG_CREDENTIALS' });
      }
      return begin(name, new Set());
    },
    refresh(refreshToken, requestId) {
      const refresh = refreshes.get(refreshToken);
      if (refresh?.used?.requestId === requestId) return refresh.used.answer;
      if (!refresh || refresh.used) {
        if (!refresh) throw refusal(Status.UNAUTHENTICATED, 'the session was ended', { reason: 'SESSION_REVOKED', outcome: 'NOT_APPLIED' });
        end(refresh.family);
        throw refusal(Status.UNAUTHENTICATED, 'the refresh token was used before', { reason: 'REFRESH_TOKEN_REUSED', outcome: 'NOT_APPLIED' });
      }
      const answer = begin(refresh.account, refresh.family);
      refresh.used = { requestId, answer };
      return answer;
    },
    logout(token) {
      end(families.get(token) ?? new Set());
    },
    expireTokens() {
      for (const token of sessions.keys()) expired.add(token);
    },
    payer(token) {
      const name = sessions.get(token);
      if (name !== undefined && expired.has(token)) {
        throw refusal(Status.UNAUTHENTICATED, 'the token has expired', { reason: 'TOKEN_EXPIRED', outcome: 'NOT_APPLIED' });
      }
      if (name !== undefined) return name;
      throw refusal(Status.UNAUTHENTICATED, 'the session is over; log in again', { reason: 'TOKEN_REVOKED' });
    },
    pay(payer, request) {
      const known = transfers.get(request.id);
      if (known) return replay(known, request);
      const transfer = decide(accounts, payer, request);
      transfers.set(request.id, transfer);
      return transfer;
    },
  };
}

function decide(accounts: Map<string, Account>, payer: string, request: CreateTransferRequest): Transfer {
  const { minorUnits, currency } = request.amount!;
  const from = accounts.get(payer)!;
  const payee = `${request.to?.bank}/${request.to?.account}`;
  const to = accounts.get(payee);
  const isExpired = request.expiresAtUnixMs !== 0n && request.expiresAtUnixMs <= BigInt(Date.now());
  const declineReason = isExpired ? DeclineReason.EXPIRED : reasonToDecline(from, to, minorUnits, currency);
  if (declineReason === DeclineReason.UNSPECIFIED && to) {
    settle(from, request, payee, -minorUnits);
    settle(to, request, payer, minorUnits);
  }
  return {
    id: request.id,
    from: accountName(payer),
    to: request.to,
    amount: request.amount,
    memo: request.memo,
    state: declineReason === DeclineReason.UNSPECIFIED ? TransferState.SUCCEEDED : TransferState.DECLINED,
    declineReason,
    replayed: false,
    createdAtUnixMs: BigInt(Date.now()),
    decidedAtUnixMs: BigInt(Date.now()),
  };
}

function reasonToDecline(from: Account, to: Account | undefined, minorUnits: bigint, currency: string): DeclineReason {
  if (!to) return DeclineReason.NO_SUCH_PAYEE;
  if (from.currency !== currency) return DeclineReason.PAYER_CURRENCY;
  if (to.currency !== currency) return DeclineReason.PAYEE_CURRENCY;
  return minorUnits > from.posted ? DeclineReason.INSUFFICIENT_FUNDS : DeclineReason.UNSPECIFIED;
}

function replay(known: Transfer, request: CreateTransferRequest): Transfer {
  if (known.amount?.minorUnits === request.amount?.minorUnits && known.memo === request.memo) {
    return { ...known, replayed: true };
  }
  throw refusal(Status.ALREADY_EXISTS, 'the id was used for another transfer', {
    reason: 'TRANSFER_ID_REUSED',
    outcome: 'NOT_APPLIED',
    field: 'amount',
    transfer_id: request.id,
  });
}

function settle(account: Account, request: CreateTransferRequest, counterparty: string, minorUnits: bigint): void {
  account.posted += minorUnits;
  account.entries.unshift({
    transferId: request.id,
    counterparty: accountName(counterparty),
    amount: { currency: account.currency, minorUnits },
    posted: { currency: account.currency, minorUnits: account.posted },
    memo: request.memo,
    settledAtUnixMs: BigInt(Date.now()),
  });
}

function openingEntry(currency: string): Entry {
  const opening = { currency, minorUnits: 10_000n };
  return {
    transferId: '',
    counterparty: undefined,
    amount: opening,
    posted: opening,
    memo: 'opening balance',
    settledAtUnixMs: BigInt(Date.now()),
  };
}

/** `alpha/alice` to its parts. */
export function accountName(name: string): { bank: string; account: string } {
  const [bank = '', account = ''] = name.split('/');
  return { bank, account };
}
