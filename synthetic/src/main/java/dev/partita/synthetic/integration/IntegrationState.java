package dev.partita.synthetic.integration;

/// The saveable state of an integration service.
///
/// @param framework version of the framing that was agreed on, or 0 if none was yet
/// @param version of the service's protocol that was agreed on, or 0
/// @param nextTransaction 0 to 255
/// @param sequence of the service: of heartbeats the last that was sent
/// @param answered of heartbeats, the last that was answered
public record IntegrationState(
    int framework, int version, int nextTransaction, long sequence, long answered) {
  /// Of a service whose driver has not spoken.
  public static final IntegrationState NONE = new IntegrationState(0, 0, 0, 0, 0);
}
