// strife.bank.v1.BankService, the reads: what a granted gateway may know of one account.

import type { Grants } from '@strife/auth';
import { available } from '@strife/ledger';
import { declineReasonForPayee, declineReasonToWire, rpcError, transferIdFromWire, transferIdToWire } from '@strife/service';
import type { BankServiceImplementation, TransferRecord } from '@strife/stubs/bank';
import { DeclineReason, TransferState } from '@strife/stubs/type';
import type { Balance, Entry } from '@strife/stubs/type';
import { CursorError } from '@strife/storage';
import type { HistoryEntry, LedgerStore, Page, StoredLeg } from '@strife/storage';
import type { Account } from '@strife/ledger';
import { Status } from 'nice-grpc-common';
import { malformed, refuseGrant } from './login-api.ts';
import type { PageTurns } from './page-turns.ts';

export const PAGE_ITEMS_MAX = 1000;
const PAGE_ITEMS = 50;

export interface AccountApiOptions {
  readonly store: LedgerStore;
  readonly grants: Grants;
  readonly turns: PageTurns;
}

export type AccountApi = Pick<BankServiceImplementation, 'getAccount' | 'listEntries' | 'getTransfer' | 'listTransfers'>;

export function createAccountApi({ store, grants, turns }: AccountApiOptions): AccountApi {
  async function granted(grant: string): Promise<Account> {
    const { account: name } = await grants.verify(grant).catch(refuseGrant);
    const account = store.account('customer', name);
    if (account === undefined) throw noSuchAccount(name);
    return account;
  }

  return {
    async getAccount({ grant }) {
      return { balance: balanceOf(store.bank, await granted(grant)) };
    },

    async listEntries({ grant, pageSize, pageToken }, { signal }) {
      const { name } = await granted(grant);
      const page = await turns.take(signal, () => readPage(pageSize, pageToken, (size, cursor) => store.listEntries(name, size, cursor)));
      return { entries: page.items.map(entryToWire), nextPageToken: page.nextCursor ?? '' };
    },

    async getTransfer({ grant, transferId }) {
      const { name } = await granted(grant);
      if (transferId.length !== 16) throw malformed('transfer_id', 'must be 16 bytes');
      const id = transferIdFromWire(transferId);
      const leg = store.transfer(id);
      const record = leg === undefined ? undefined : recordToWire(leg);
      const [isPayer, isPayee] = [record?.from, record?.to].map((party) => party?.bank === store.bank && party.account === name);
      if (record === undefined || !(isPayer || isPayee)) {
        throw rpcError({ code: Status.NOT_FOUND, reason: 'NO_SUCH_TRANSFER', field: 'id', message: `id: ${name} has no transfer ${id}`, outcome: 'not_applied', retryable: false });
      }
      return { transfer: isPayer ? record : { ...record, declineReason: declineReasonForPayee(record.declineReason) } };
    },

    async listTransfers({ grant, pageSize, pageToken }, { signal }) {
      const { name } = await granted(grant);
      const page = await turns.take(signal, () => readPage(pageSize, pageToken, (size, cursor) => store.listTransfers(name, size, cursor)));
      return { transfers: page.items.flatMap((leg) => recordToWire(leg) ?? []), nextPageToken: page.nextCursor ?? '' };
    },
  };
}

export function balanceOf(bank: string, account: Account): Balance {
  const { currency } = account;
  return {
    account: { bank, account: account.name },
    posted: { currency, minorUnits: account.posted },
    held: { currency, minorUnits: account.held },
    available: { currency, minorUnits: available(account) },
  };
}

export function noSuchAccount(name: string): Error {
  return rpcError({ code: Status.NOT_FOUND, reason: 'NO_SUCH_ACCOUNT', field: 'account', message: `account: this bank has no account ${name}`, outcome: 'not_applied', retryable: false });
}

function readPage<Item>(pageSize: number, pageToken: string, read: (size: number, cursor?: string) => Page<Item>): Page<Item> {
  if (pageSize > PAGE_ITEMS_MAX) throw malformed('page_size', `must be at most ${PAGE_ITEMS_MAX}`);
  try {
    return read(pageSize === 0 ? PAGE_ITEMS : pageSize, ...(pageToken === '' ? [] : [pageToken]));
  } catch (error) {
    if (error instanceof CursorError) throw malformed('page_token', 'is not one that this bank gave');
    throw error;
  }
}

function entryToWire({ transferId, counterparty, amount, posted, memo, settledAtMs }: HistoryEntry): Entry {
  return { transferId: transferId ?? '', counterparty, amount, posted, memo, settledAtUnixMs: BigInt(settledAtMs) };
}

/** Undefined for legs that stand for nothing a customer asked for: fences and aborted attempts. */
function recordToWire({ id, state, terms, preparedAtMs, endedAtMs }: StoredLeg): TransferRecord | undefined {
  if (terms === undefined || state.kind === 'aborted' || state.kind === 'absent') return undefined;
  const { from, to, currency, amountMinor, memo } = terms.body;
  return {
    transferId: transferIdToWire(id), from, to, memo,
    amount: { currency, minorUnits: amountMinor },
    state: states[state.kind],
    declineReason: state.kind === 'declined' ? declineReasonToWire(state.reason) : DeclineReason.UNSPECIFIED,
    preparedAtUnixMs: BigInt(preparedAtMs),
    endedAtUnixMs: BigInt(endedAtMs ?? 0),
  };
}

const states = { prepared: TransferState.PENDING, committed: TransferState.SUCCEEDED, declined: TransferState.DECLINED } as const;
