package dev.partita.worker;

import dev.partita.network.IpPrefix;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// What a NIC is plugged into.
public sealed interface Attachment {
  /// The partition's own switch with the NAT.
  ///
  /// @param hostAllowed whether the guest reaches the host's loopback address, by the gateway's
  /// @param network the guests' IPv4 network, or nothing for a free one
  record Nat(boolean hostAllowed, @Nullable IpPrefix network) implements Attachment {
    @Override
    public String toString() {
      return "nat"
          + (hostAllowed ? ",allow-host" : "")
          + (network == null ? "" : ",net=" + network);
    }
  }

  /// A switch that partitions of one user share by its name. With the NAT (Hyper-V's internal
  /// switch), or without (private).
  ///
  /// @param name see {@link PartitionSettings#checkName}; at most {@link #LONGEST_NAME} characters
  record Shared(String name, boolean internal) implements Attachment {
    /// Characters: it is in a socket's path, which is short.
    static final int LONGEST_NAME = 32;

    @Override
    public String toString() {
      return (internal ? "internal:" : "private:") + name;
    }
  }

  /// A TAP device of the host.
  ///
  /// @param bridge of the host, which the device joins; or nothing
  record Tap(String device, @Nullable String bridge) implements Attachment {
    @Override
    public String toString() {
      return "tap:" + device + (bridge == null ? "" : ",bridge=" + bridge);
    }
  }

  /// A socket of another program, such as QEMU's `-netdev stream,server=on`.
  record Socket(Path path) implements Attachment {
    @Override
    public String toString() {
      return "link:" + path;
    }
  }

  /// UDP datagrams from and to one address.
  record Udp(InetSocketAddress local, InetSocketAddress remote) implements Attachment {
    @Override
    public String toString() {
      return "udp:" + text(local) + ":" + text(remote);
    }

    private static String text(InetSocketAddress address) {
      var host = address.getAddress().getHostAddress();
      return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + address.getPort();
    }
  }
}
