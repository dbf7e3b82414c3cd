// A payment, and what to do when it does not succeed.

import { eur, newTransferId, StrifeError, TransferDeclinedError } from '@strife/sdk';
import { alice } from './client.ts';

const strife = await alice();
// Made before the first send, and saved if your program must know after a crash whether it has paid.
const id = newTransferId();
try {
  const transfer = await strife.transfers.create({ id, to: 'beta/bob', amount: eur('0.01'), memo: 'first payment' });
  console.log(`paid ${transfer.id}: ${transfer.state}`);
  const again = await strife.transfers.create({ id, to: 'beta/bob', amount: eur('0.01'), memo: 'first payment' });
  console.log(`asked again: replayed is ${again.replayed}, nothing moved twice`);
} catch (error) {
  if (error instanceof TransferDeclinedError) console.log(`declined for ever: ${error.reason}`);
  else if (error instanceof StrifeError) console.log(`${error.code}: the money is ${error.outcome}; ${error.retryable ? 'try again with the same id' : 'do not try again'}`);
  else throw error;
  process.exitCode = 1;
} finally {
  await strife.close();
}
