// Many payments at once: calls that are made together travel together, each with a result of its own.

import { eur } from '@strife/sdk';
import { alice } from './client.ts';

const strife = await alice();
const lunches = Array.from({ length: 50 }, (_, day) => ({ to: 'beta/bob', amount: eur('0.01'), memo: `lunch ${day}` }));
const results = await strife.transfers.createMany(lunches);
const paid = results.filter(({ ok }) => ok).length;
console.log(`${paid} of ${results.length} paid`);
for (const result of results) if (!result.ok) console.log(result.error.code, result.error.outcome, result.error.transferId);
await strife.close();
if (paid < results.length) process.exitCode = 1;
