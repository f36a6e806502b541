package dev.partita.network.vswitch;

import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import dev.partita.network.IpPrefix;
import dev.partita.network.MacAddress;
import org.jspecify.annotations.Nullable;

/// One entry of a port's access list, as Hyper-V's extended ACLs are. Of all that match, the one
/// with the largest weight decides; what none matches is allowed.
///
/// ARP's frames match a rule only if it names a hardware address: a child that may speak to nobody
/// but one server must still find it.
///
/// A fragment other than the first has no ports: a rule that names ports matches it, if the rest
/// fits, so that a denial cannot be passed by fragments and an allowed datagram arrives whole.
///
/// @param direction from the child's side
/// @param weight larger is looked at first; equal weights are looked at in their order
/// @param localMac the child's address, or nothing for any
/// @param protocol an IP protocol number, or -1 for any
/// @param localPorts of TCP or UDP
/// @param stateful an allowed packet opens the way for the answers, whatever other rules say
/// @param idleSeconds how long that way stays open without packets
public record AccessRule(
    Action action,
    Direction direction,
    int weight,
    @Nullable MacAddress localMac,
    @Nullable MacAddress remoteMac,
    @Nullable IpPrefix localAddress,
    @Nullable IpPrefix remoteAddress,
    int protocol,
    PortRange localPorts,
    PortRange remotePorts,
    boolean stateful,
    int idleSeconds) {

  /// What to do.
  public enum Action {
    ALLOW,
    DENY
  }

  /// Seen from the child.
  public enum Direction {
    INBOUND,
    OUTBOUND
  }

  /// Ports from the first to the last.
  public record PortRange(int first, int last) {
    /// Every port, and what has none.
    public static final PortRange ANY = new PortRange(0, 65535);

    public PortRange {
      if (first < 0 || last > 65535 || first > last) {
        throw new IllegalArgumentException("ports %d to %d".formatted(first, last));
      }
    }

    boolean contains(int port) {
      return port >= first && port <= last;
    }
  }

  public AccessRule {
    if (protocol < -1 || protocol > 255) {
      throw new IllegalArgumentException("protocol " + protocol);
    }
    if (idleSeconds < 1) {
      throw new IllegalArgumentException("an idle time of %d s".formatted(idleSeconds));
    }
  }

  /// A rule for everything; the `with` methods narrow it.
  public static AccessRule of(Action action, Direction direction, int weight) {
    return new AccessRule(
        action,
        direction,
        weight,
        null,
        null,
        null,
        null,
        -1,
        PortRange.ANY,
        PortRange.ANY,
        false,
        120);
  }

  /// The same for packets from or to remote addresses.
  public AccessRule withRemoteAddress(IpPrefix prefix) {
    return new AccessRule(
        action,
        direction,
        weight,
        localMac,
        remoteMac,
        localAddress,
        prefix,
        protocol,
        localPorts,
        remotePorts,
        stateful,
        idleSeconds);
  }

  /// The same for one protocol.
  public AccessRule withProtocol(int number) {
    return new AccessRule(
        action,
        direction,
        weight,
        localMac,
        remoteMac,
        localAddress,
        remoteAddress,
        number,
        localPorts,
        remotePorts,
        stateful,
        idleSeconds);
  }

  /// The same for ports of the child and of the other side.
  public AccessRule withPorts(PortRange local, PortRange remote) {
    return new AccessRule(
        action,
        direction,
        weight,
        localMac,
        remoteMac,
        localAddress,
        remoteAddress,
        protocol,
        local,
        remote,
        stateful,
        idleSeconds);
  }

  /// The same, opening the way for answers.
  public AccessRule withState(int idleSeconds) {
    return new AccessRule(
        action,
        direction,
        weight,
        localMac,
        remoteMac,
        localAddress,
        remoteAddress,
        protocol,
        localPorts,
        remotePorts,
        true,
        idleSeconds);
  }

  /// Whether the rule speaks of a frame in its direction.
  boolean matches(Headers headers) {
    boolean out = direction == Direction.OUTBOUND;
    var frame = headers.frame();
    if (!mac(localMac, out ? frame.source() : frame.destination())
        || !mac(remoteMac, out ? frame.destination() : frame.source())) {
      return false;
    }
    if (headers.kind() == Headers.Kind.ARP && localMac == null && remoteMac == null) {
      return false;
    }
    if (localAddress != null || remoteAddress != null) {
      if (!headers.isIp() && headers.kind() != Headers.Kind.ARP) {
        return false;
      }
      if (!address(localAddress, out ? headers.source() : headers.destination())
          || !address(remoteAddress, out ? headers.destination() : headers.source())) {
        return false;
      }
    }
    if (protocol >= 0 && !(headers.isIp() && headers.protocol() == protocol)) {
      return false;
    }
    if (localPorts.equals(PortRange.ANY) && remotePorts.equals(PortRange.ANY)) {
      return true;
    }
    if (headers.hasPorts()) {
      int source = headers.sourcePort();
      int destination = headers.destinationPort();
      return localPorts.contains(out ? source : destination)
          && remotePorts.contains(out ? destination : source);
    }
    return headers.isIp() && headers.fragmentOffset() != 0;
  }

  private static boolean mac(@Nullable MacAddress wanted, long found) {
    return wanted == null || wanted.bits() == found;
  }

  private static boolean address(@Nullable IpPrefix wanted, IpAddress found) {
    return wanted == null || wanted.contains(found);
  }
}
