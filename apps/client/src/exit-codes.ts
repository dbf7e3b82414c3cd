// What the exit code of `strife` means. This table is the one place; `--help` prints it, and scripts may rely on it.

export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  authentication: 3,
  declined: 4,
  notFound: 5,
  conflict: 6,
  unavailable: 7,
  outcomeUnknown: 8,
  queued: 9,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const MEANINGS = {
  ok: 'done',
  internal: 'internal error, or the audit or the doctor found something wrong',
  usage: 'wrong usage: a bad argument or setting; nothing was done',
  authentication: 'not logged in, wrong password, or the session is over',
  declined: 'declined by a bank, for ever under this id; nothing moved',
  notFound: 'no such transfer, account or bank',
  conflict: 'the id was used for another payment; nothing moved now',
  unavailable: 'a gateway or bank cannot be reached; nothing moved',
  outcomeUnknown: 'it is not known whether the payment was made: ask again with the same id',
  queued: 'queued for later: saved, and not delivered yet',
  interrupted: 'interrupted: nothing was sent but what the queue tells of',
} satisfies Record<keyof typeof EXIT, string>;

/** The table as text, a line for each code. */
export function describeExitCodes(): string {
  return Object.entries(EXIT)
    .map(([name, code]) => `  ${String(code).padEnd(4)}${MEANINGS[name as keyof typeof EXIT]}`)
    .join('\n');
}
