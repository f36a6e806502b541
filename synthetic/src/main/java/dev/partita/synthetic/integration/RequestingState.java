package dev.partita.synthetic.integration;

/// The saveable state of a service that asks the guest.
///
/// @param awaited the transaction that the guest has still to answer, 0 to 255, or -1
/// @param awaitedOperation what it is, in the service's own numbers
public record RequestingState(IntegrationState service, int awaited, int awaitedOperation) {
  /// Of a service whose driver has not spoken.
  public static final RequestingState NONE = new RequestingState(IntegrationState.NONE, -1, 0);
}
