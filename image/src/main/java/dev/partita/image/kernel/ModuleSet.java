package dev.partita.image.kernel;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/// The modules of one kernel and how they depend on each other, and from that the index files that
/// modprobe(8) reads (formats: modules.dep(5); kmod's depmod(8)).
public final class ModuleSet {
  private final Map<String, ModuleInfo> byName = new TreeMap<>();
  private final Map<String, List<String>> byAlias = new LinkedHashMap<>();

  /// @param modules each under a name of its own; of two with one name the first counts
  public ModuleSet(Collection<ModuleInfo> modules) {
    for (ModuleInfo module : modules) {
      if (byName.putIfAbsent(module.name(), module) == null) {
        for (String alias : module.aliases()) {
          byAlias.computeIfAbsent(alias, a -> new ArrayList<>()).add(module.name());
        }
      }
    }
  }

  /// The modules in the order of their names.
  public Collection<ModuleInfo> modules() {
    return Collections.unmodifiableCollection(byName.values());
  }

  /// The modules of the given names that are here, with all they need: what they depend on, and
  /// what they softly depend on as far as it is here. Names that are not here count as built into
  /// the kernel, or not offered by it.
  public ModuleSet closureOf(Collection<String> names) {
    Set<String> chosen = new TreeSet<>();
    List<String> left = new ArrayList<>();
    names.forEach(name -> left.add(ModuleInfo.canonicalName(name)));
    while (!left.isEmpty()) {
      ModuleInfo module = byName.get(left.removeLast());
      if (module != null && chosen.add(module.name())) {
        left.addAll(module.depends());
        for (String soft : module.softDepends()) {
          String name = ModuleInfo.canonicalName(soft);
          left.addAll(
              byName.containsKey(name) ? List.of(name) : byAlias.getOrDefault(soft, List.of()));
        }
      }
    }
    return new ModuleSet(chosen.stream().map(byName::get).toList());
  }

  /// The content of `modules.dep`: for each module its path, a colon, and the paths of all it
  /// needs, so ordered that loading them from the last to the first satisfies each.
  public String dependencyIndex() {
    StringBuilder out = new StringBuilder();
    for (ModuleInfo module : modules()) {
      out.append(module.path()).append(':');
      for (ModuleInfo needed : loadOrder(module).reversed()) {
        if (needed != module) {
          out.append(' ').append(needed.path());
        }
      }
      out.append('\n');
    }
    return out.toString();
  }

  /// The content of `modules.alias`.
  public String aliasIndex() {
    StringBuilder out = new StringBuilder();
    for (ModuleInfo module : modules()) {
      for (String alias : module.aliases()) {
        out.append("alias ").append(alias).append(' ').append(module.name()).append('\n');
      }
    }
    return out.toString();
  }

  /// All that must be loaded for a module, first what needs nothing, last the module itself.
  public List<ModuleInfo> loadOrder(ModuleInfo module) {
    // Depth first without recursion: what a package claims may be as deep as it likes, or a circle.
    Set<ModuleInfo> done = new LinkedHashSet<>();
    Set<ModuleInfo> entered = new LinkedHashSet<>();
    List<ModuleInfo> stack = new ArrayList<>(List.of(module));
    while (!stack.isEmpty()) {
      ModuleInfo top = stack.getLast();
      if (entered.add(top)) {
        for (String name : top.depends().reversed()) {
          @Nullable ModuleInfo needed = byName.get(name);
          if (needed != null && !entered.contains(needed)) {
            stack.add(needed);
          }
        }
      } else {
        stack.removeLast();
        done.add(top);
      }
    }
    return List.copyOf(done);
  }
}
