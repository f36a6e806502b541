package dev.partita.synthetic.integration;

import dev.partita.hypervisor.TimeSource;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;

/// The shutdown service: asks the guest to power off or to reboot in good order.
public final class GuestShutdown extends RequestingService {
  private static final UUID INTERFACE = UUID.fromString("0e0b6031-5213-4934-818b-38d90ced39db");
  private static final UUID INSTANCE = UUID.fromString("b6650ff7-33bc-4840-8048-e0676786f393");

  /// Reason, timeout, flags, and 2048 bytes of a message for the user, which must be there (Linux,
  /// `struct shutdown_msg_data`).
  private static final int BODY_SIZE = 2060;

  /// SHTDN_REASON_FLAG_PLANNED, with major and minor reason "other".
  private static final int REASON_PLANNED = 0x8000_0000;

  private static final int FLAG_FORCE = 1;
  private static final int FLAG_REBOOT = 2;

  public GuestShutdown(TimeSource time) {
    super(
        INTERFACE,
        INSTANCE,
        IntegrationMessage.SHUTDOWN,
        time,
        version(1, 0),
        version(3, 0),
        version(3, 1),
        version(3, 2));
  }

  /// What a guest can be asked.
  public enum Kind {
    POWER_OFF,
    REBOOT
  }

  /// Asks the guest, and waits until it says whether it will. Its power shows when it has done it.
  /// On any thread but a channel's.
  ///
  /// @param force whether the guest is to end programs that do not want to end
  /// @throws GuestRefusalException if it will not, does not answer, or its driver is not there
  public void request(Kind kind, boolean force) throws GuestRefusalException, InterruptedException {
    int flags = (kind == Kind.REBOOT ? FLAG_REBOOT : 0) | (force ? FLAG_FORCE : 0);
    exchange(
        flags,
        ByteBuffer.allocate(BODY_SIZE)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(REASON_PLANNED)
            .putInt(0)
            .putInt(flags)
            .array(),
        LIMIT_NANOS);
  }
}
