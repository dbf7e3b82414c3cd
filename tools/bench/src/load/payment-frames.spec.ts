// A payment's frame is what the message would be encoded to.
import { expect, it } from '@jest/globals';
import { newTransferId } from '@strife/sdk';
import { CreateTransferRequest, WaitFor } from '@strife/stubs/gateway';
import { frame } from './http2-calls.ts';
import { paymentFrames } from './payment-frames.ts';

it.each(['u1', 'u23', 'u1000000', 'u7'])('is filled in as it would be encoded, for %s', (account) => {
  const terms = { amount: { currency: 'EUR', minorUnits: 1n }, waitFor: WaitFor.DECIDED, earlierSendsAnswered: true };
  const frameOf = paymentFrames('beta', terms);
  for (const id of [newTransferId(), newTransferId()]) {
    const whole = CreateTransferRequest.fromPartial({ ...terms, id, to: { bank: 'beta', account } });
    expect(frameOf(id, account)).toEqual(frame(CreateTransferRequest.encode(whole).finish()));
  }
});
