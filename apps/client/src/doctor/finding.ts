// What a check found.

export type Status = 'ok' | 'warning' | 'failure';

export interface Finding {
  /** What was looked at: `gateway 127.0.0.1:7400: certificate`. */
  readonly check: string;
  readonly status: Status;
  /** What was found, for a person. */
  readonly detail: string;
  /** What to do about it. */
  readonly hint?: string;
}

export const ok = (check: string, detail: string): Finding => ({ check, status: 'ok', detail });
export const warning = (check: string, detail: string, hint?: string): Finding => ({ check, status: 'warning', detail, ...(hint && { hint }) });
export const failure = (check: string, detail: string, hint?: string): Finding => ({ check, status: 'failure', detail, ...(hint && { hint }) });
