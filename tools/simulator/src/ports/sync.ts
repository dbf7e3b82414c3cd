// The moment at which something becomes durable, and the failure of it.

/**
 * Makes `apply` durable, all of it or nothing. Throws DiskFailure when the sync failed: then it is not known which, and the process that
 * asked has been stopped.
 */
export type Sync = (apply: () => void) => void;

export class DiskFailure extends Error {
  override readonly name = 'DiskFailure';
}

/** A disk that never fails. */
export const soundSync: Sync = (apply) => apply();
