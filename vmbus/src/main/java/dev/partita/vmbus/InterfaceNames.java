package dev.partita.vmbus;

import java.util.Map;
import java.util.UUID;

/// What operators call the kinds of synthetic devices (Linux, `include/linux/hyperv.h`).
final class InterfaceNames {
  private static final Map<UUID, String> NAMES =
      Map.ofEntries(
          name("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "scsi"),
          name("32412632-86cb-44a2-9b5c-50d1417354f5", "ide"),
          name("f8615163-df3e-46c5-913f-f2d2f965ed0e", "network"),
          name("57164f39-9115-4e78-ab55-382f3bd5422d", "heartbeat"),
          name("0e0b6031-5213-4934-818b-38d90ced39db", "shutdown"),
          name("9527e630-d0ae-497b-adce-e80ab0175caf", "time"),
          name("a9a0f4e7-5a45-4d96-b827-8a841e8c03e6", "key-value"),
          name("35fa2e29-ea23-4236-96ae-3a6ebacba440", "snapshot"),
          name("34d14be3-dee4-41c8-9ae7-6b174977c192", "file-copy"),
          name("f912ad6d-2b17-48ea-bd65-f927a61c7684", "keyboard"),
          name("cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a", "mouse"),
          name("da0a7802-e377-4aac-8e77-0558eb1073f8", "video"),
          name("525074dc-8985-46e2-8057-a307dc18a502", "memory"));

  private InterfaceNames() {}

  private static Map.Entry<UUID, String> name(String id, String name) {
    return Map.entry(UUID.fromString(id), name);
  }

  /// A word without spaces; the id itself if it is not known.
  static String of(UUID interfaceId) {
    return NAMES.getOrDefault(interfaceId, interfaceId.toString());
  }
}
