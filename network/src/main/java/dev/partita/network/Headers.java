package dev.partita.network;

/// Where the headers of a frame are and what they say. Reading never fails: what is cut short or
/// contradicts itself is {@link Kind#MALFORMED}, and what is not IP or ARP is {@link Kind#OTHER}.
///
/// Immutable; refers to the frame, and so is valid as long as the frame is lent.
public final class Headers {
  /// EtherType of IPv4 (IEEE registry, as the next ones).
  public static final int TYPE_IPV4 = 0x0800;

  /// EtherType of ARP.
  public static final int TYPE_ARP = 0x0806;

  /// EtherType of IPv6.
  public static final int TYPE_IPV6 = 0x86dd;

  /// Protocol numbers (IANA registry).
  public static final int ICMP = 1;

  public static final int TCP = 6;
  public static final int UDP = 17;
  public static final int ICMPV6 = 58;

  /// An IPv6 chain without an upper-layer header.
  public static final int NO_NEXT_HEADER = 59;

  // IPv6 extension headers (RFC 8200, 4; RFC 4302; RFC 6275; RFC 7401; RFC 5533).
  private static final int HOP_BY_HOP = 0;
  private static final int ROUTING = 43;
  private static final int FRAGMENT = 44;
  private static final int AUTHENTICATION = 51;
  private static final int DESTINATION_OPTIONS = 60;
  private static final int MOBILITY = 135;
  private static final int HOST_IDENTITY = 139;
  private static final int SHIM6 = 140;

  /// More extension headers than this nobody sends; RFC 8200 expects each at most once or twice.
  private static final int MOST_EXTENSIONS = 8;

  /// What the frame carries.
  public enum Kind {
    /// An IPv4 packet.
    IPV4,
    /// An IPv6 packet.
    IPV6,
    /// An ARP message for IPv4 over Ethernet.
    ARP,
    /// Anything else.
    OTHER,
    /// It claims to be one of the first three and is not.
    MALFORMED
  }

  private final Frame frame;
  private Kind kind;
  private int packetEnd;
  private int protocol = -1;
  private int transport;
  private int fragmentHeader = -1;
  private int fragmentOffset;
  private boolean moreFragments;
  private int firstNextHeader;

  private Headers(Frame frame) {
    this.frame = frame;
    if (frame.length() < Frame.HEADER) {
      kind = Kind.MALFORMED;
      return;
    }
    packetEnd = frame.length();
    transport = packetEnd;
    kind =
        switch (etherType()) {
          case TYPE_IPV4 -> readIpv4() ? Kind.IPV4 : Kind.MALFORMED;
          case TYPE_IPV6 -> readIpv6() ? Kind.IPV6 : Kind.MALFORMED;
          case TYPE_ARP -> readArp();
          default -> Kind.OTHER;
        };
  }

  /// Reads the headers of a frame whose tag, if it had one, was taken out.
  public static Headers of(Frame frame) {
    return new Headers(frame);
  }

  private boolean readIpv4() {
    int ip = Frame.HEADER;
    if (frame.length() < ip + 20) {
      return false;
    }
    int first = frame.u8(ip);
    int headerLength = (first & 15) * 4;
    int total = frame.u16(ip + 2);
    if (frame.segmentSize() != 0) {
      // A NIC that cuts segments takes the length from the frame; the field may hold anything.
      total = frame.length() - ip;
    }
    if (first >> 4 != 4 || headerLength < 20 || total < headerLength) {
      return false;
    }
    if (total > frame.length() - ip) {
      return false;
    }
    packetEnd = ip + total;
    int fragment = frame.u16(ip + 6);
    fragmentOffset = (fragment & 0x1fff) * 8;
    moreFragments = (fragment & 0x2000) != 0;
    transport = ip + headerLength;
    protocol = frame.u8(ip + 9);
    return true;
  }

  private boolean readIpv6() {
    int ip = Frame.HEADER;
    if (frame.length() < ip + 40 || frame.u8(ip) >> 4 != 6) {
      return false;
    }
    int payload = frame.u16(ip + 4);
    if (frame.segmentSize() != 0) {
      payload = frame.length() - ip - 40;
    }
    if (payload > frame.length() - ip - 40) {
      return false;
    }
    packetEnd = ip + 40 + payload;
    int next = frame.u8(ip + 6);
    firstNextHeader = next;
    int at = ip + 40;
    for (int i = 0; i <= MOST_EXTENSIONS; i++) {
      int length;
      switch (next) {
        case HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, MOBILITY, HOST_IDENTITY, SHIM6 -> {
          if (packetEnd - at < 8) {
            return false;
          }
          length = (frame.u8(at + 1) + 1) * 8;
        }
        case AUTHENTICATION -> {
          if (packetEnd - at < 8) {
            return false;
          }
          length = (frame.u8(at + 1) + 2) * 4;
        }
        case FRAGMENT -> {
          if (packetEnd - at < 8 || fragmentHeader >= 0) {
            return false;
          }
          fragmentHeader = at;
          fragmentOffset = frame.u16(at + 2) & 0xfff8;
          moreFragments = (frame.u16(at + 2) & 1) != 0;
          length = 8;
        }
        default -> {
          protocol = next;
          transport = at;
          return true;
        }
      }
      if (length > packetEnd - at) {
        return false;
      }
      next = frame.u8(at);
      at += length;
      if (fragmentOffset != 0) {
        // What follows is the middle of something.
        protocol = next;
        transport = at;
        return true;
      }
    }
    return false;
  }

  private Kind readArp() {
    int arp = Frame.HEADER;
    if (frame.length() < arp + 28) {
      return Kind.MALFORMED;
    }
    // Ethernet, IPv4, six and four octets (RFC 826).
    return frame.i64(arp) >>> 16 == 0x0001_0800_0604L ? Kind.ARP : Kind.OTHER;
  }

  /// What the frame carries.
  public Kind kind() {
    return kind;
  }

  /// The frame.
  public Frame frame() {
    return frame;
  }

  /// The EtherType.
  public int etherType() {
    return frame.u16(12);
  }

  /// Whether it is an IPv4 or IPv6 packet.
  public boolean isIp() {
    return kind == Kind.IPV4 || kind == Kind.IPV6;
  }

  /// Of an IP packet: the upper-layer protocol. For a fragment that is not the first, the first of
  /// its fragmentable part, which may be an extension header.
  public int protocol() {
    return protocol;
  }

  /// Of an IPv6 packet: the type of the first header after the fixed one.
  public int firstNextHeader() {
    return firstNextHeader;
  }

  /// Where the upper-layer header begins in the frame; not beyond {@link #packetEnd}.
  public int transport() {
    return transport;
  }

  /// Where the IP packet ends in the frame; padding may follow.
  public int packetEnd() {
    return packetEnd;
  }

  /// Octets of the upper-layer header and its payload.
  public int transportLength() {
    return packetEnd - transport;
  }

  /// Whether the packet is one fragment of several.
  public boolean isFragment() {
    return fragmentOffset != 0 || moreFragments;
  }

  /// Whether more fragments follow.
  public boolean moreFragments() {
    return moreFragments;
  }

  /// Octets before this fragment's part.
  public int fragmentOffset() {
    return fragmentOffset;
  }

  /// Where the IPv6 fragment header begins, or -1.
  public int fragmentHeader() {
    return fragmentHeader;
  }

  /// Of an IP packet or ARP message: the sender's address.
  public IpAddress source() {
    return switch (kind) {
      case IPV4 -> IpAddress.v4(frame.i32(Frame.HEADER + 12));
      case IPV6 -> new IpAddress(frame.i64(Frame.HEADER + 8), frame.i64(Frame.HEADER + 16));
      case ARP -> IpAddress.v4(frame.i32(Frame.HEADER + 14));
      default -> IpAddress.ANY6;
    };
  }

  /// Of an IP packet or ARP message: the target's address.
  public IpAddress destination() {
    return switch (kind) {
      case IPV4 -> IpAddress.v4(frame.i32(Frame.HEADER + 16));
      case IPV6 -> new IpAddress(frame.i64(Frame.HEADER + 24), frame.i64(Frame.HEADER + 32));
      case ARP -> IpAddress.v4(frame.i32(Frame.HEADER + 24));
      default -> IpAddress.ANY6;
    };
  }

  /// Whether the ports of TCP or UDP can be read here.
  public boolean hasPorts() {
    return isIp()
        && fragmentOffset == 0
        && (protocol == TCP || protocol == UDP)
        && transportLength() >= 4;
  }

  /// The sender's port, if {@link #hasPorts}.
  public int sourcePort() {
    return frame.u16(transport);
  }

  /// The receiver's port, if {@link #hasPorts}.
  public int destinationPort() {
    return frame.u16(transport + 2);
  }

  /// Of an unfragmented ICMP or ICMPv6 message, or the first fragment of one: its type; else -1.
  public int icmpType() {
    boolean icmp = kind == Kind.IPV4 && protocol == ICMP || kind == Kind.IPV6 && protocol == ICMPV6;
    return icmp && fragmentOffset == 0 && transportLength() >= 1 ? frame.u8(transport) : -1;
  }

  /// Whether the IPv4 header's checksum is right; true for all else.
  public boolean headerChecksumRight() {
    return kind != Kind.IPV4
        || Checksums.fold(
                Checksums.sum(
                    frame.bytes(), frame.start() + Frame.HEADER, transport - Frame.HEADER))
            == 0xffff;
  }

  /// Whether the checksum of the whole TCP, UDP, ICMP or ICMPv6 message is right, as far as it has
  /// to be verified.
  public boolean transportChecksumRight() {
    if (frame.checksum() != Frame.Checksum.UNKNOWN) {
      return true;
    }
    int length = transportLength();
    long sum = Checksums.sum(frame.bytes(), frame.start() + transport, length);
    if (protocol == UDP && kind == Kind.IPV4 && length >= 8 && frame.u16(transport + 6) == 0) {
      return true;
    }
    if (protocol != ICMP) {
      sum += Checksums.pseudoHeader(source(), destination(), protocol, length);
    }
    return Checksums.fold(sum) == 0xffff;
  }
}
