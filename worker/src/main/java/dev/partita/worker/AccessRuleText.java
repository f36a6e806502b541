package dev.partita.worker;

import dev.partita.network.IpPrefix;
import dev.partita.network.vswitch.AccessRule;
import dev.partita.network.vswitch.AccessRule.Action;
import dev.partita.network.vswitch.AccessRule.Direction;
import dev.partita.network.vswitch.AccessRule.PortRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Entries of a port's access list as operators write them: words joined by `+`, such as
/// `out+tcp+192.0.2.0/24+port=25`. {@link #parse} reads what {@link #text} writes.
///
/// - `in` or `out`, as the guest sees it; without one, both
/// - `tcp`, `udp`, `icmp`, `icmp6`, `protocol=NUMBER`
/// - an address or a network: the other side's; `own=ADDRESS`: the guest's
/// - `port=FIRST-LAST`: of the destination; `from-port=FIRST-LAST`: of the source
/// - `stateful`, `stateful=SECONDS`: answers to what is allowed are, too
/// - `weight=NUMBER`: larger ones are looked at first; without it in the order of writing
final class AccessRuleText {
  private static final Pattern PORTS = Pattern.compile("([0-9]{1,5})(?:-([0-9]{1,5}))?");

  /// IANA's numbers.
  private static final Map<String, Integer> PROTOCOLS =
      Map.of("icmp", 1, "tcp", 6, "udp", 17, "icmp6", 58);

  /// Idle time of Hyper-V's stateful rules, in seconds.
  private static final int IDLE = AccessRule.of(Action.ALLOW, Direction.OUTBOUND, 0).idleSeconds();

  private AccessRuleText() {}

  /// Reads an entry.
  ///
  /// @return one rule, or one for each direction
  /// @throws IllegalArgumentException with one line that says what is wrong
  static List<AccessRule> parse(Action action, String text) {
    Direction direction = null;
    int protocol = -1;
    IpPrefix remote = null;
    IpPrefix own = null;
    var to = PortRange.ANY;
    var from = PortRange.ANY;
    int idle = 0;
    int weight = 0;
    for (var word : text.split("\\+", -1)) {
      var parts = word.split("=", 2);
      var value = parts.length == 2 ? parts[1] : "";
      var known = PROTOCOLS.get(word);
      if (known != null) {
        protocol = known;
        continue;
      }
      switch (parts[0]) {
        case "in", "out" -> {
          var one = word.equals("in") ? Direction.INBOUND : Direction.OUTBOUND;
          if (direction != null && direction != one) {
            throw wrong(action, text, "in or out, or neither for both");
          }
          direction = one;
        }
        case "protocol" -> protocol = number(action, text, value, 255);
        case "own" -> own = address(action, text, value);
        case "port" -> to = ports(action, text, value);
        case "from-port" -> from = ports(action, text, value);
        case "stateful" ->
            idle = parts.length == 1 ? IDLE : Math.max(1, number(action, text, value, 86_400));
        case "weight" -> weight = number(action, text, value, 65_535);
        default -> remote = address(action, text, word);
      }
    }
    if (idle > 0 && action == Action.DENY) {
      throw wrong(action, text, "what is denied has no answers; stateful is for allow=");
    }
    if (remote != null && own != null && remote.address().isV4() != own.address().isV4()) {
      throw wrong(action, text, "both addresses are IPv4, or both are IPv6");
    }
    var rules = new ArrayList<AccessRule>();
    for (var each : Direction.values()) {
      if (direction == null || direction == each) {
        boolean out = each == Direction.OUTBOUND;
        rules.add(
            new AccessRule(
                action,
                each,
                weight,
                null,
                null,
                own,
                remote,
                protocol,
                out ? from : to,
                out ? to : from,
                idle > 0,
                idle > 0 ? idle : IDLE));
      }
    }
    return rules;
  }

  private static IllegalArgumentException wrong(Action action, String text, String why) {
    return new IllegalArgumentException("'%s=%s': %s".formatted(name(action), text, why));
  }

  private static String name(Action action) {
    return action.name().toLowerCase(Locale.ROOT);
  }

  private static int number(Action action, String text, String value, int most) {
    if (!value.matches("[0-9]{1,5}") || Integer.parseInt(value) > most) {
      throw wrong(action, text, "'%s' is no number up to %d".formatted(value, most));
    }
    return Integer.parseInt(value);
  }

  private static PortRange ports(Action action, String text, String value) {
    var match = PORTS.matcher(value);
    if (!match.matches()) {
      throw wrong(action, text, "'%s' is no port, and no range such as 6000-6063".formatted(value));
    }
    int first = Integer.parseInt(match.group(1));
    try {
      return new PortRange(
          first, match.group(2) == null ? first : Integer.parseInt(match.group(2)));
    } catch (IllegalArgumentException e) {
      throw wrong(
          action, text, "'%s': from the smaller to the larger, up to 65535".formatted(value));
    }
  }

  private static IpPrefix address(Action action, String text, String value) {
    try {
      return IpPrefix.parse(value);
    } catch (IllegalArgumentException e) {
      throw wrong(
          action,
          text,
          ("'%s' is not in, out, tcp, udp, icmp, icmp6, protocol=, port=, from-port=, stateful,"
                  + " weight=, own= or an address such as 192.0.2.0/24")
              .formatted(value));
    }
  }

  /// The rule as an option.
  static String text(AccessRule rule) {
    boolean out = rule.direction() == Direction.OUTBOUND;
    var words = new ArrayList<String>();
    words.add(out ? "out" : "in");
    if (rule.protocol() >= 0) {
      words.add(
          PROTOCOLS.entrySet().stream()
              .filter(entry -> entry.getValue() == rule.protocol())
              .map(Map.Entry::getKey)
              .findFirst()
              .orElse("protocol=" + rule.protocol()));
    }
    if (rule.remoteAddress() != null) {
      words.add(text(rule.remoteAddress()));
    }
    if (rule.localAddress() != null) {
      words.add("own=" + text(rule.localAddress()));
    }
    addPorts(words, "port=", out ? rule.remotePorts() : rule.localPorts());
    addPorts(words, "from-port=", out ? rule.localPorts() : rule.remotePorts());
    if (rule.stateful()) {
      words.add("stateful" + (rule.idleSeconds() == IDLE ? "" : "=" + rule.idleSeconds()));
    }
    if (rule.weight() != 0) {
      words.add("weight=" + rule.weight());
    }
    return name(rule.action()) + "=" + String.join("+", words);
  }

  private static String text(@Nullable IpPrefix prefix) {
    if (prefix == null) {
      return "";
    }
    boolean one = prefix.length() == (prefix.address().isV4() ? 32 : 128);
    return one ? prefix.address().toString() : prefix.toString();
  }

  private static void addPorts(List<String> words, String name, PortRange ports) {
    if (!ports.equals(PortRange.ANY)) {
      words.add(name + ports.first() + (ports.last() == ports.first() ? "" : "-" + ports.last()));
    }
  }
}
