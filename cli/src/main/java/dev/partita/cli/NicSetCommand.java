package dev.partita.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Changes a NIC.
@Command(
    name = "set",
    description = {
      "Changes a network card, with the options of run --network. Another mac= or mtu= is another"
          + " card for the guest: it goes and comes again. network=NETWORK plugs it in elsewhere.",
      "",
      "  partita nic set 0 vlan=7 limit=100M",
      "  partita nic set 0 spoofing=off,dhcp-guard",
      "  partita nic set 0 allow=out+stateful,allow=in+udp+port=68,deny=in   only what it began",
      "  partita nic set 0 rules=none",
      "  partita nic set 1 network=private:lan"
    },
    mixinStandardHelpOptions = true)
final class NicSetCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "NUMBER", description = "Which: see nic list.")
  private int number;

  @Parameters(
      index = "1..*",
      arity = "1..*",
      paramLabel = "OPTION",
      description = {
        "mac=ADDRESS, mtu=OCTETS, vlan=NUMBER|all|none|TRUNK, spoofing, dhcp-guard, router-guard (each"
            + " =on or =off), limit=RATE (0: none), mirror=source|destination|none, allow=RULE,"
            + " deny=RULE (after those that are there), rules=none, link=up|down, network=NETWORK.",
        "A RULE is words joined by +: in or out (both), tcp, udp, icmp, icmp6 or protocol=NUMBER, the"
            + " other side's ADDRESS[/BITS], own=ADDRESS[/BITS], port=NUMBER[-NUMBER] of the"
            + " destination, from-port=, stateful (answers pass), weight=NUMBER. The first that fits"
            + " decides; what none fits is allowed."
      })
  private List<String> options = List.of();

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    var words = new ArrayList<>(List.of("nic-set", Integer.toString(number)));
    options.stream()
        .flatMap(option -> option.startsWith("network=") ? Stream.of(option) : split(option))
        .forEach(words::add);
    partition.client().ask(words.toArray(String[]::new));
    return ExitCode.SUCCESS;
  }

  private static Stream<String> split(String options) {
    return Stream.of(options.split(","));
  }
}
