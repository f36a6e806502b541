package dev.partita.network;

/// A network: the addresses that share their first bits.
///
/// @param address the bits beyond the length are zero
/// @param length bits, 0 to 32 for IPv4, 0 to 128 for IPv6
public record IpPrefix(IpAddress address, int length) {
  public IpPrefix {
    int longest = address.isV4() ? 32 : 128;
    if (length < 0 || length > longest) {
      throw new IllegalArgumentException(
          "prefix length %d of %s is not in 0 to %d".formatted(length, address, longest));
    }
    address = first(address, address.isV4() ? length + 96 : length);
  }

  /// Reads `192.168.7.0/24` or `fd00::/64`; an address alone is a network of one.
  ///
  /// @throws IllegalArgumentException if it is neither
  public static IpPrefix parse(String text) {
    int slash = text.indexOf('/');
    if (slash < 0) {
      var address = IpAddress.parse(text);
      return new IpPrefix(address, address.isV4() ? 32 : 128);
    }
    try {
      return new IpPrefix(
          IpAddress.parse(text.substring(0, slash)), Integer.parseInt(text.substring(slash + 1)));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("not a network: '%s'".formatted(text), e);
    }
  }

  private static IpAddress first(IpAddress address, int bits) {
    return new IpAddress(
        bits >= 64 ? address.high() : address.high() & mask(bits),
        bits <= 64 ? 0 : address.low() & mask(bits - 64));
  }

  private static long mask(int bits) {
    return bits == 0 ? 0 : -1L << (64 - bits);
  }

  /// Whether the address is of this network; never of the other family.
  public boolean contains(IpAddress other) {
    return other.isV4() == address.isV4()
        && first(other, address.isV4() ? length + 96 : length).equals(address);
  }

  /// The address at a distance from the network's first.
  public IpAddress at(long offset) {
    return new IpAddress(address.high(), address.low() + offset);
  }

  /// The network mask of an IPv4 network.
  public IpAddress mask4() {
    return IpAddress.v4(length == 0 ? 0 : -1 << (32 - length));
  }

  /// The directed broadcast address of an IPv4 network.
  public IpAddress broadcast4() {
    return IpAddress.v4(address.v4Bits() | ~mask4().v4Bits());
  }

  @Override
  public String toString() {
    return address + "/" + length;
  }
}
