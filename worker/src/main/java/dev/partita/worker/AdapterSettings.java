package dev.partita.worker;

import dev.partita.network.IpPrefix;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import dev.partita.network.vswitch.AccessRule;
import dev.partita.network.vswitch.PortSettings;
import dev.partita.network.vswitch.PortSettings.Mirroring;
import dev.partita.network.vswitch.VlanMode;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// A NIC as an operator asks for it. {@link #parse} reads what {@link #toString} writes.
///
/// @param mac nothing for one that follows from the partition
/// @param mtu octets of the largest IP packet that the guest may choose, {@link #SMALLEST_MTU} to
///     {@link #LARGEST_MTU}
/// @param limit bits per second each way, 0 for no limit
/// @param rules the access list, in the order of writing
/// @param up whether the link is up
public record AdapterSettings(
    Attachment attachment,
    @Nullable MacAddress mac,
    int mtu,
    VlanMode vlan,
    boolean macSpoofing,
    boolean dhcpGuard,
    boolean routerGuard,
    long limit,
    Mirroring mirroring,
    List<AccessRule> rules,
    boolean up) {

  /// The largest MTU that is usual in Ethernets ("jumbo frames"), and Hyper-V's too.
  public static final int LARGEST_MTU = 9000;

  /// IPv6 needs as much (RFC 8200, 5).
  public static final int SMALLEST_MTU = 1280;

  private static final Pattern RATE = Pattern.compile("([0-9]{1,9})([kKmMgG]?)");

  public AdapterSettings {
    if (mtu < SMALLEST_MTU || mtu > LARGEST_MTU) {
      throw new IllegalArgumentException(
          "an MTU of %d: must be %d to %d".formatted(mtu, SMALLEST_MTU, LARGEST_MTU));
    }
    if (mac != null && mac.isGroup()) {
      throw new IllegalArgumentException(mac + " is the address of a group, not of a NIC");
    }
    if (rules.size() > PortSettings.MOST_RULES) {
      throw new IllegalArgumentException(
          "%d rules are more than %d".formatted(rules.size(), PortSettings.MOST_RULES));
    }
    rules = List.copyOf(rules);
  }

  /// A NIC with nothing special.
  public static AdapterSettings of(Attachment attachment) {
    return new AdapterSettings(
        attachment,
        null,
        Offloads.NONE.mtu(),
        VlanMode.UNTAGGED,
        false,
        false,
        false,
        0,
        Mirroring.NONE,
        List.of(),
        true);
  }

  /// The NIC that a partition has when nothing else is said.
  public static AdapterSettings standard() {
    return of(new Attachment.Nat(false, null));
  }

  /// Reads `nat`, `private:NAME`, `internal:NAME`, `tap:DEVICE`, `link:SOCKET` or
  /// `udp:LOCAL:REMOTE`, with options after commas.
  ///
  /// @throws IllegalArgumentException with one line that says what is wrong
  public static AdapterSettings parse(String text) {
    var parts = List.of(text.split(",", -1));
    var options = new ArrayList<>(parts.subList(1, parts.size()));
    var settings = of(attachment(parts.getFirst(), options));
    return settings.with(options);
  }

  private static Attachment attachment(String text, List<String> options) {
    int colon = text.indexOf(':');
    var kind = colon < 0 ? text : text.substring(0, colon);
    var rest = colon < 0 ? "" : text.substring(colon + 1);
    return switch (kind) {
      case "nat" -> {
        if (colon >= 0) {
          throw new IllegalArgumentException("nat has no name: '" + text + "'");
        }
        var network = taken(options, "net");
        yield new Attachment.Nat(
            options.remove("allow-host"), network == null ? null : IpPrefix.parse(network));
      }
      case "private", "internal" -> {
        if (!rest.matches("[A-Za-z0-9_][A-Za-z0-9_.-]*")
            || rest.length() > Attachment.Shared.LONGEST_NAME) {
          throw new IllegalArgumentException(
              "'%s': a switch has a name of 1 to %d letters, digits, '.', '_', '-', as in %s:lan"
                  .formatted(text, Attachment.Shared.LONGEST_NAME, kind));
        }
        yield new Attachment.Shared(rest, kind.equals("internal"));
      }
      case "tap" -> {
        if (!rest.matches("[A-Za-z0-9_.%-]{1,15}")) {
          throw new IllegalArgumentException("'" + text + "': no interface's name, as in tap:tap0");
        }
        yield new Attachment.Tap(rest, taken(options, "bridge"));
      }
      case "link" -> {
        try {
          if (rest.isEmpty()) {
            throw new IllegalArgumentException(
                "link needs a socket's path, as in link:/tmp/l.sock");
          }
          yield new Attachment.Socket(Path.of(rest).toAbsolutePath());
        } catch (InvalidPathException e) {
          throw new IllegalArgumentException("'" + rest + "' is no path", e);
        }
      }
      case "udp" -> udp(rest);
      default ->
          throw new IllegalArgumentException(
              "'%s' is not nat, private:NAME, internal:NAME, tap:DEVICE, link:SOCKET,"
                      .formatted(text)
                  + " udp:LOCAL:PORT:REMOTE:PORT or none");
    };
  }

  private static Attachment udp(String text) {
    var match =
        Pattern.compile("(\\[[^]]+]|[^:]+):([0-9]{1,5}):(\\[[^]]+]|[^:]+):([0-9]{1,5})")
            .matcher(text);
    if (!match.matches()) {
      throw new IllegalArgumentException(
          "'udp:%s': an example is udp:192.0.2.1:5000:192.0.2.2:5000".formatted(text));
    }
    return new Attachment.Udp(
        address(match.group(1), match.group(2)), address(match.group(3), match.group(4)));
  }

  private static InetSocketAddress address(String host, String port) {
    int number = Integer.parseInt(port);
    if (number < 1 || number > 65535) {
      throw new IllegalArgumentException("port " + number + ": must be 1 to 65535");
    }
    try {
      return new InetSocketAddress(InetAddress.getByName(host), number);
    } catch (UnknownHostException e) {
      throw new IllegalArgumentException("no host '" + host + "'", e);
    }
  }

  /// Takes an option that belongs to the attachment.
  private static @Nullable String taken(List<String> options, String name) {
    for (var option : options) {
      if (option.startsWith(name + "=")) {
        options.remove(option);
        return option.substring(name.length() + 1);
      }
    }
    return null;
  }

  /// The same with options as {@link #parse} knows them after the first comma.
  ///
  /// @throws IllegalArgumentException with one line that says what is wrong
  public AdapterSettings with(List<String> options) {
    var mac = this.mac;
    int mtu = this.mtu;
    var vlan = this.vlan;
    boolean spoofing = macSpoofing;
    boolean dhcp = dhcpGuard;
    boolean router = routerGuard;
    long limit = this.limit;
    var mirror = mirroring;
    var rules = new ArrayList<>(this.rules);
    boolean up = this.up;
    for (var option : options) {
      var words = option.split("=", 2);
      var value = words.length == 2 ? words[1] : "";
      switch (words[0]) {
        case "mac" -> mac = MacAddress.parse(value);
        case "mtu" -> mtu = number(option, value, LARGEST_MTU);
        case "vlan" -> vlan = vlan(value);
        case "spoofing" -> spoofing = flag(option, value);
        case "dhcp-guard" -> dhcp = flag(option, value);
        case "router-guard" -> router = flag(option, value);
        case "limit" -> limit = rate(value);
        case "mirror" -> mirror = mirroring(value);
        case "allow" -> rules.addAll(AccessRuleText.parse(AccessRule.Action.ALLOW, value));
        case "deny" -> rules.addAll(AccessRuleText.parse(AccessRule.Action.DENY, value));
        case "rules" -> {
          if (!value.equals("none")) {
            throw new IllegalArgumentException(option + ": rules=none forgets all rules so far");
          }
          rules.clear();
        }
        case "link" -> up = direction(value);
        default ->
            throw new IllegalArgumentException(
                "'%s' is not mac=, mtu=, vlan=, spoofing, dhcp-guard, router-guard, limit=,"
                        .formatted(option)
                    + " mirror=, allow=, deny=, rules=none or link="
                    + switch (attachment) {
                      case Attachment.Nat _ -> ", nor allow-host or net=";
                      case Attachment.Tap _ -> ", nor bridge=";
                      default -> "";
                    });
      }
    }
    return new AdapterSettings(
        attachment, mac, mtu, vlan, spoofing, dhcp, router, limit, mirror, rules, up);
  }

  private static int number(String option, String value, int most) {
    if (!value.matches("[0-9]{1,5}") || Integer.parseInt(value) > most) {
      throw new IllegalArgumentException("'%s': a number up to %d".formatted(option, most));
    }
    return Integer.parseInt(value);
  }

  private static boolean flag(String option, String value) {
    return switch (value) {
      case "", "on" -> true;
      case "off" -> false;
      default -> throw new IllegalArgumentException("'%s': on or off".formatted(option));
    };
  }

  private static boolean direction(String value) {
    return switch (value) {
      case "up" -> true;
      case "down" -> false;
      default -> throw new IllegalArgumentException("link=" + value + ": up or down");
    };
  }

  private static Mirroring mirroring(String value) {
    return switch (value) {
      case "none" -> Mirroring.NONE;
      case "source" -> Mirroring.SOURCE;
      case "destination" -> Mirroring.DESTINATION;
      default ->
          throw new IllegalArgumentException("mirror=" + value + ": source, destination or none");
    };
  }

  private static long rate(String value) {
    var match = RATE.matcher(value);
    if (!match.matches()) {
      throw new IllegalArgumentException("limit=" + value + ": bits a second, as in limit=100M");
    }
    return Long.parseLong(match.group(1))
        * switch (match.group(2).toLowerCase(Locale.ROOT)) {
          case "k" -> 1_000L;
          case "m" -> 1_000_000L;
          case "g" -> 1_000_000_000L;
          default -> 1L;
        };
  }

  /// `7`, `all`, or `7+20-29`: untagged frames are in the first, the others are tagged.
  private static VlanMode vlan(String value) {
    if (value.equals("all")) {
      return VlanMode.ALL;
    }
    if (value.equals("none")) {
      return VlanMode.UNTAGGED;
    }
    if (!value.matches("[0-9]{1,4}(\\+[0-9]{1,4}(-[0-9]{1,4})?)*")) {
      throw new IllegalArgumentException(
          "vlan=%s: a number, all, none, or a trunk such as 7+20-29 (7 untagged, 20 to 29 tagged)"
              .formatted(value));
    }
    var words = value.split("\\+");
    int own = Integer.parseInt(words[0]);
    if (words.length == 1) {
      return new VlanMode.Access(own);
    }
    var tagged = new TreeSet<Integer>();
    for (var range : List.of(words).subList(1, words.length)) {
      var ends = range.split("-");
      int first = Integer.parseInt(ends[0]);
      for (int each = first; each <= Integer.parseInt(ends[ends.length - 1]); each++) {
        tagged.add(each);
      }
    }
    return new VlanMode.Trunk(own, List.copyOf(tagged));
  }

  private static String text(VlanMode vlan) {
    return switch (vlan) {
      case VlanMode.Access(int number) -> number == 0 ? "none" : Integer.toString(number);
      case VlanMode.Trunk(int own, var tagged) ->
          vlan.equals(VlanMode.ALL)
              ? "all"
              : own + tagged.stream().map(each -> "+" + each).collect(Collectors.joining());
    };
  }

  /// The same, plugged into something else.
  AdapterSettings at(Attachment other) {
    return new AdapterSettings(
        other, mac, mtu, vlan, macSpoofing, dhcpGuard, routerGuard, limit, mirroring, rules, up);
  }

  /// How the switch treats the NIC's port.
  PortSettings port(MacAddress address) {
    return PortSettings.adapter(address)
        .withMacSpoofing(macSpoofing)
        .withVlan(vlan)
        .withGuards(dhcpGuard, routerGuard)
        .withLimits(limit, limit)
        .withMirroring(mirroring)
        .withRules(rules);
  }

  /// What comes after the attachment.
  List<String> options() {
    var options = new ArrayList<String>();
    if (mac != null) {
      options.add("mac=" + mac);
    }
    if (mtu != Offloads.NONE.mtu()) {
      options.add("mtu=" + mtu);
    }
    if (!vlan.equals(VlanMode.UNTAGGED)) {
      options.add("vlan=" + text(vlan));
    }
    if (macSpoofing) {
      options.add("spoofing");
    }
    if (dhcpGuard) {
      options.add("dhcp-guard");
    }
    if (routerGuard) {
      options.add("router-guard");
    }
    if (limit > 0) {
      options.add("limit=" + limit);
    }
    if (mirroring != Mirroring.NONE) {
      options.add("mirror=" + mirroring.name().toLowerCase(Locale.ROOT));
    }
    rules.forEach(rule -> options.add(AccessRuleText.text(rule)));
    if (!up) {
      options.add("link=down");
    }
    return options;
  }

  @Override
  public String toString() {
    var options = options();
    return attachment + (options.isEmpty() ? "" : "," + String.join(",", options));
  }
}
