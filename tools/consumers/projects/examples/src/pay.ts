// A payment as the examples make it, told as all projects here tell theirs.
import { eur } from '@strife/sdk';
import { alice } from './client.ts';

const strife = await alice();
const { id, state } = await strife.transfers.create({ to: 'beta/bob', amount: eur('0.01'), memo: process.env['MEMO'] });
await strife.close();
console.log(JSON.stringify({ id, state, node: process.version }));
