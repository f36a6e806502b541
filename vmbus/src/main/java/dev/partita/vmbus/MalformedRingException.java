package dev.partita.vmbus;

/// A guest wrote into a ring what no packet or index can be.
final class MalformedRingException extends Exception {
  private static final long serialVersionUID = 1L;

  MalformedRingException(String message) {
    super(message, null, false, false);
  }
}
