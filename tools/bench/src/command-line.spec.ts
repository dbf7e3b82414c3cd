import { describe, expect, it } from '@jest/globals';
import { parseCommand } from './command-line.ts';

describe('the command line', () => {
  it('runs everything in full by default', () => {
    expect(parseCommand([])).toEqual({
      kind: 'run', profile: 'full', scenarios: [...'abcdefghi'], withPeer: true, rounds: undefined, seconds: undefined, json: false, cpuProfile: false,
    });
  });

  it('takes a choice of scenarios, each once', () => {
    expect(parseCommand(['--quick', '--scenario', 'b,c,b', '--rounds', '3', '--seconds', '0.5', '--no-peer', '--json'])).toMatchObject({
      profile: 'quick', scenarios: ['b', 'c'], withPeer: false, rounds: 3, seconds: 0.5, json: true,
    });
  });

  it.each([
    [['--scenario', 'a,z'], 'there is no "z"'],
    [['--rounds', '0'], '--rounds'],
    [['--rounds', '1.5'], '--rounds'],
    [['--seconds', 'long'], '--seconds'],
    [['--fast'], '--fast'],
    [['b'], 'b'],
  ])('refuses %j and says why', (args, why) => {
    const command = parseCommand(args);
    expect(command.kind === 'wrong' && command.message).toContain(why);
  });
});
