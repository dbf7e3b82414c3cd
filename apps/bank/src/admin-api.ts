// strife.bank.v1.AdminService: what the bank's operator does to accounts.

import type { Passwords } from '@strife/auth';
import { AMOUNT_MINOR_MAX, BALANCE_MINOR_MAX, isCurrency } from '@strife/ledger';
import { namePattern, nameRule, parseTransferId, rpcError } from '@strife/service';
import type { AdminServiceImplementation } from '@strife/stubs/bank';
import type { LedgerStore } from '@strife/storage';
import { Status } from 'nice-grpc-common';
import { balanceOf, noSuchAccount } from './account-api.ts';
import { malformed, refusePassword } from './login-api.ts';

export function createAdminApi(store: LedgerStore, passwords: Pick<Passwords, 'hash'>): AdminServiceImplementation {
  return {
    async openAccount({ username, password, currency, openingMinor }) {
      if (!namePattern.test(username)) throw malformed('username', nameRule);
      if (!isCurrency(currency)) throw malformed('currency', 'must be an ISO 4217 code, such as EUR');
      if (openingMinor < 0n || openingMinor > BALANCE_MINOR_MAX) throw malformed('opening_minor', `must be 0 to ${BALANCE_MINOR_MAX}`);
      const passwordHash = await passwords.hash(password).catch(refusePassword);
      const [opened] = store.createUsers([{ username, passwordHash, currency, openingMinor }]);
      if (opened === undefined) {
        throw rpcError({ code: Status.ALREADY_EXISTS, reason: 'ACCOUNT_EXISTS', field: 'username', message: `username: ${username} has an account`, outcome: 'not_applied', retryable: false });
      }
      return { balance: balanceOf(store.bank, store.account('customer', username)!) };
    },

    freezeAccount({ account, frozen }) {
      if (!store.setFrozen(account, frozen)) throw noSuchAccount(account);
      return Promise.resolve({});
    },

    deposit({ id: text, account, amount }) {
      const id = parseTransferId(text);
      if (id === undefined) throw malformed('id', 'must be a UUID');
      if (amount === undefined) throw malformed('amount', 'is missing');
      if (amount.minorUnits <= 0n || amount.minorUnits > AMOUNT_MINOR_MAX) throw malformed('amount.minor_units', `must be 1 to ${AMOUNT_MINOR_MAX}`);
      const result = store.deposit(id, account, amount);
      switch (result.kind) {
        case 'deposited':
          return Promise.resolve({ balance: balanceOf(store.bank, result.account), replayed: result.replayed });
        case 'mismatch':
          throw rpcError({ code: Status.ALREADY_EXISTS, reason: 'ID_TAKEN', field: result.field, message: `id: taken by another deposit, which differs in ${result.field}`, outcome: 'not_applied', retryable: false });
        case 'declined':
          throw rpcError({ code: Status.FAILED_PRECONDITION, reason: result.reason.toUpperCase(), message: `declined: ${result.reason}`, outcome: 'not_applied', retryable: false });
      }
    },
  };
}
