package dev.partita.synthetic.network;

import dev.partita.network.Frame;
import dev.partita.network.MacAddress;
import java.util.UUID;

/// What a NIC is.
///
/// @param instance which device of the partition it is; its guest knows it by that again
/// @param name what the guest is told that it is called, at most {@link #LONGEST_NAME} characters:
///     `Network Adapter` if it has no other
/// @param mac its own address, of one station
/// @param mtu octets of the largest IP packet that the guest may choose, {@link #SMALLEST_MTU} to
///     {@link #LARGEST_MTU}; it begins with 1500
/// @param queues channels it may have, 1 to {@link #MOST_QUEUES}; as many as there are processors
///     are of use
/// @param bitsPerSecond the speed that is shown to the guest, at least 1
/// @param macChanges whether the guest may give it another address. Its port has to let frames from
///     that pass
public record NicSettings(
    UUID instance,
    String name,
    MacAddress mac,
    int mtu,
    int queues,
    long bitsPerSecond,
    boolean macChanges) {
  /// The name that guests take for none.
  public static final String PLAIN_NAME = "Network Adapter";

  /// As many as Linux reads.
  public static final int LONGEST_NAME = 255;

  /// IPv6 needs as much (RFC 8200, 5).
  public static final int SMALLEST_MTU = 1280;

  /// Hyper-V's largest frame is 9216 octets; nobody sends more than 9000 in a packet.
  public static final int LARGEST_MTU = 9216 - Frame.HEADER - 4;

  /// Linux takes no more.
  public static final int MOST_QUEUES = 64;

  /// 10 Gbit/s, as Hyper-V's.
  public static final long USUAL_SPEED = 10_000_000_000L;

  public NicSettings {
    if (mac.isGroup() || mac.bits() == 0) {
      throw new IllegalArgumentException("%s is no address of a station".formatted(mac));
    }
    if (name.isEmpty() || name.length() > LONGEST_NAME) {
      throw new IllegalArgumentException(
          "a NIC's name has 1 to %d characters".formatted(LONGEST_NAME));
    }
    if (mtu < SMALLEST_MTU || mtu > LARGEST_MTU) {
      throw new IllegalArgumentException(
          "an MTU of %d is not in %d to %d".formatted(mtu, SMALLEST_MTU, LARGEST_MTU));
    }
    if (queues < 1 || queues > MOST_QUEUES) {
      throw new IllegalArgumentException(
          "%d queues: a NIC has 1 to %d".formatted(queues, MOST_QUEUES));
    }
    if (bitsPerSecond < 1) {
      throw new IllegalArgumentException("%d bits a second".formatted(bitsPerSecond));
    }
  }

  /// A NIC like others.
  ///
  /// @param queues 1 to {@link #MOST_QUEUES}
  public static NicSettings of(UUID instance, MacAddress mac, int queues) {
    return new NicSettings(instance, PLAIN_NAME, mac, LARGEST_MTU, queues, USUAL_SPEED, true);
  }

  /// The same with another address.
  public NicSettings withMac(MacAddress address) {
    return new NicSettings(instance, name, address, mtu, queues, bitsPerSecond, macChanges);
  }

  /// The same with another largest MTU.
  public NicSettings withMtu(int octets) {
    return new NicSettings(instance, name, mac, octets, queues, bitsPerSecond, macChanges);
  }

  /// The same with another name.
  public NicSettings withName(String text) {
    return new NicSettings(instance, text, mac, mtu, queues, bitsPerSecond, macChanges);
  }

  /// The same, whose guest may or may not change the address.
  public NicSettings withMacChanges(boolean allowed) {
    return new NicSettings(instance, name, mac, mtu, queues, bitsPerSecond, allowed);
  }
}
