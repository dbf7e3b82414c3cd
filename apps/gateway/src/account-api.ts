// strife.gateway.v1.AccountService: the caller's balance and history, as their own bank tells them.

import type { SessionContext } from '@strife/auth';
import type { AccountServiceImplementation } from '@strife/stubs/gateway';
import { callBank } from './bank-calls.ts';
import type { BankNetwork } from './bank-network.ts';

export function createAccountApi(network: BankNetwork): AccountServiceImplementation<SessionContext> {
  return {
    async getAccount(_request, context) {
      const { account, grant } = context.session;
      const { balance } = await callBank(network, account.bank, context, (bank, options) => bank.getAccount({ grant }, options));
      return balance === undefined ? {} : { balance };
    },

    async listEntries({ pageSize, pageToken }, context) {
      const { account, grant } = context.session;
      return await callBank(network, account.bank, context, (bank, options) => bank.listEntries({ grant, pageSize, pageToken }, options));
    },
  };
}
