package dev.partita.vmbus;

import java.util.Arrays;
import java.util.UUID;

/// What a guest is told of a channel before it opens it.
///
/// @param interfaceId what kind of device it is
/// @param instanceId which device it is; the channels of one device share it
/// @param subChannel 0 for a device's first channel
/// @param flags of {@link #PIPE} and the like
/// @param mmioMegabytes MMIO space the device needs, 0 to 65535
/// @param userDefined 120 bytes for the driver, not changed after the record is made
public record Offer(
    UUID interfaceId,
    UUID instanceId,
    int subChannel,
    int flags,
    int mmioMegabytes,
    byte[] userDefined) {

  /// Bytes of {@link #userDefined}.
  public static final int USER_DEFINED_SIZE = 120;

  /// VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE.
  public static final int ENUMERATE_DEVICE_INTERFACE = 1;

  /// VMBUS_CHANNEL_NAMED_PIPE_MODE: packets carry a pipe header.
  public static final int PIPE = 0x10;

  /// VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER: the channel is a socket.
  public static final int SOCKET = 0x2000;

  /// VMBUS_PIPE_TYPE_MESSAGE, in the first 4 user-defined bytes of a pipe.
  private static final byte PIPE_TYPE_MESSAGE = 4;

  public Offer {
    if (userDefined.length != USER_DEFINED_SIZE) {
      throw new IllegalArgumentException(userDefined.length + " user-defined bytes, not 120");
    }
    if (subChannel < 0 || subChannel > 0xFFFF || mmioMegabytes < 0 || mmioMegabytes > 0xFFFF) {
      throw new IllegalArgumentException(
          "sub-channel %d, %d MiB of MMIO".formatted(subChannel, mmioMegabytes));
    }
  }

  /// A device's first channel, packets without a pipe header.
  public static Offer plain(UUID interfaceId, UUID instanceId) {
    return new Offer(
        interfaceId, instanceId, 0, ENUMERATE_DEVICE_INTERFACE, 0, new byte[USER_DEFINED_SIZE]);
  }

  /// A device's first channel, a pipe of messages.
  public static Offer pipe(UUID interfaceId, UUID instanceId) {
    var userDefined = new byte[USER_DEFINED_SIZE];
    userDefined[0] = PIPE_TYPE_MESSAGE;
    return new Offer(interfaceId, instanceId, 0, ENUMERATE_DEVICE_INTERFACE | PIPE, 0, userDefined);
  }

  /// A further channel of the same device.
  public Offer withSubChannel(int index) {
    return new Offer(interfaceId, instanceId, index, flags, mmioMegabytes, userDefined);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Offer o
        && interfaceId.equals(o.interfaceId)
        && instanceId.equals(o.instanceId)
        && subChannel == o.subChannel
        && flags == o.flags
        && mmioMegabytes == o.mmioMegabytes
        && Arrays.equals(userDefined, o.userDefined);
  }

  @Override
  public int hashCode() {
    return instanceId.hashCode() * 31 + subChannel;
  }
}
