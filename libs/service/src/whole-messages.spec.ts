// That whole messages go out as they are, and that nothing else changes.
import { describe, expect, it } from '@jest/globals';
import { ParticipantServiceDefinition, PrepareRequest } from '@strife/stubs/bank';
import { byteService } from './codec.ts';
import { wholeMessages } from './whole-messages.ts';

describe('a service with whole messages', () => {
  it('encodes and decodes them as the service itself does', () => {
    const { requestType, ...rest } = wholeMessages(ParticipantServiceDefinition, 'prepare').methods.prepare;
    const request: PrepareRequest = { logId: 'g1.one', grants: ['grant'], legs: [], decisions: [] };
    expect(requestType.encode(request).finish()).toEqual(PrepareRequest.encode(request).finish());
    expect(requestType.decode(PrepareRequest.encode(request).finish())).toEqual(request);
    expect(rest).toMatchObject({ name: 'Prepare', requestStream: false, responseStream: false });
  });

  it('copies messages of the other methods only', () => {
    const whole = wholeMessages(ParticipantServiceDefinition, 'prepare');
    expect('fromPartial' in whole.methods.prepare.requestType).toBe(false);
    expect('fromPartial' in whole.methods.prepare.responseType).toBe(false);
    expect(whole.methods.decide).toBe(ParticipantServiceDefinition.methods.decide);
    expect('fromPartial' in ParticipantServiceDefinition.methods.prepare.requestType).toBe(true);
  });

  it('answers with bytes that a caller reads as the same message', () => {
    const codec = byteService(wholeMessages(ParticipantServiceDefinition, 'decide') as never).codecs.find(({ path }) => path.endsWith('/Decide'))!;
    const bytes = codec.encodeResponse({ acknowledgements: [1] });
    expect(ParticipantServiceDefinition.methods.decide.responseType.decode(bytes)).toEqual({ acknowledgements: [1] });
  });
});
