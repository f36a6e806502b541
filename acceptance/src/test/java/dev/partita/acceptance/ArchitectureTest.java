package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.syntax.ArchRuleDefinition;
import com.tngtech.archunit.library.dependencies.SlicesRuleDefinition;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// The arrows between the modules point down only.
class ArchitectureTest {
  private static final String ROOT = "dev.partita.";

  /// Each module's package, and those it may know. A new module is added here with its arrows.
  private static final Map<String, List<String>> MAY_KNOW = new LinkedHashMap<>();

  static {
    MAY_KNOW.put("hypervisor", List.of());
    MAY_KNOW.put("engine.software", List.of("hypervisor"));
    MAY_KNOW.put("engine.kvm", List.of("hypervisor"));
    MAY_KNOW.put("chipset", List.of("hypervisor"));
    MAY_KNOW.put("enlightenment", List.of("hypervisor"));
    MAY_KNOW.put("vmbus", List.of("hypervisor", "enlightenment"));
    MAY_KNOW.put("disk", List.of());
    MAY_KNOW.put("network", List.of("hypervisor"));
    MAY_KNOW.put("synthetic", List.of("hypervisor", "vmbus", "disk", "network"));
    MAY_KNOW.put("image", List.of("disk"));
    MAY_KNOW.put(
        "worker",
        List.of(
            "hypervisor",
            "engine.software",
            "engine.kvm",
            "chipset",
            "enlightenment",
            "vmbus",
            "disk",
            "network",
            "synthetic"));
    MAY_KNOW.put("cli", List.of("hypervisor", "worker", "image", "disk", "network"));
    MAY_KNOW.put("benchmarks", List.of("hypervisor", "worker", "image", "disk", "cli"));
  }

  private static JavaClasses classes;

  @BeforeAll
  static void read() {
    classes =
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("dev.partita");
  }

  @Test
  void everyClassBelongsToAKnownModule() {
    var strangers = new TreeSet<String>();
    for (var type : classes) {
      if (!type.getPackageName().equals("dev.partita.acceptance")
          && MAY_KNOW.keySet().stream().noneMatch(module -> isIn(type.getPackageName(), module))) {
        strangers.add(type.getName());
      }
    }
    assertThat(strangers).isEmpty();
    for (var module : List.of("hypervisor", "engine.software", "chipset", "worker", "cli")) {
      assertThat(classes.stream().filter(type -> isIn(type.getPackageName(), module)))
          .as("classes of module %s", module)
          .isNotEmpty();
    }
  }

  private static boolean isIn(String packageName, String module) {
    return (packageName + ".").startsWith(ROOT + module + ".");
  }

  @Test
  void arrowsPointDownOnly() {
    MAY_KNOW.forEach(
        (module, known) -> {
          var strange =
              MAY_KNOW.keySet().stream()
                  .filter(other -> !other.equals(module) && !known.contains(other))
                  .map(other -> ROOT + other + "..")
                  .toArray(String[]::new);
          ArchRuleDefinition.noClasses()
              .that()
              .resideInAPackage(ROOT + module + "..")
              .should()
              .dependOnClassesThat()
              .resideInAnyPackage(strange)
              .because("module %s may know only %s".formatted(module, known))
              .allowEmptyShould(true)
              .check(classes);
        });
  }

  @Test
  void onlyTheWorkerChoosesAnEngine() {
    ArchRuleDefinition.noClasses()
        .that()
        .resideOutsideOfPackages(ROOT + "engine..", ROOT + "worker..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(ROOT + "engine..")
        .because("nothing above the contract asks which engine it is")
        .check(classes);
  }

  @Test
  void modulesHaveNoCycles() {
    SlicesRuleDefinition.slices().matching(ROOT + "(*)..").should().beFreeOfCycles().check(classes);
  }

  @Test
  void namesSayWhatAThingIs() {
    ArchRuleDefinition.noClasses()
        .should()
        .haveNameMatching("[^$]*(Util|Utils|Helper|Helpers|Manager|Impl|Base)")
        .because("such a name does not say what the thing is")
        .check(classes);
  }
}
