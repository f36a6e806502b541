package dev.partita.hypervisor;

/// A partition could not be made or used as asked: the host lacks something or the configuration is
/// impossible. The message is one line for the operator.
public final class PartitionException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public PartitionException(String message) {
    super(message);
  }

  public PartitionException(String message, Throwable cause) {
    super(message, cause);
  }
}
