package dev.partita.synthetic.integration;

import java.util.List;

/// The addresses of one of a guest's network adapters, as the guest tells them.
///
/// @param dhcp whether it has them from DHCP
/// @param addresses IPv4 and IPv6
/// @param subnets IPv4 masks, and IPv6 prefix lengths such as `/64`, in the order of the addresses
public record AdapterAddresses(
    boolean dhcp,
    List<String> addresses,
    List<String> subnets,
    List<String> gateways,
    List<String> nameServers) {
  public AdapterAddresses {
    addresses = List.copyOf(addresses);
    subnets = List.copyOf(subnets);
    gateways = List.copyOf(gateways);
    nameServers = List.copyOf(nameServers);
  }
}
