// The balance, and the newest entries, page by page behind an iterator.

import { alice } from './client.ts';

const strife = await alice();
const { available, held } = await strife.balance();
console.log(`available ${available.minorUnits} ${available.currency} in minor units, held ${held.minorUnits}`);
for await (const { amount, counterparty, memo, settledAt } of strife.history({ limit: 5 })) {
  console.log(settledAt.toISOString(), amount.minorUnits, counterparty ?? 'deposit', memo);
}
await strife.close();
