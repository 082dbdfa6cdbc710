//! The rotation index: nanoseconds per pick, bytes per DID.
//!
//! The baseline is the order alone as `BTreeSet<(usage, id)>`, what one would write first.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use rotary::domain::did::{DidId, DidState, DidStatus, TrunkName};
use rotary::domain::number::{AreaCode, E164};
use rotary::domain::rotation::{RotationIndex, Want};
use rotary::domain::tenant::{CampaignId, TenantId};
use uuid::Uuid;

/// Picks per measurement.
const PICKS: usize = 3_000_000;

/// The first of the numbers.
const NUMBERS: u64 = 12_000_000_000;

struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        let now = IN_USE.fetch_add(size, Ordering::Relaxed) + size;
        PEAK.fetch_max(now, Ordering::Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    for dids in [1_000, 100_000, 1_000_000] {
        let fleet = Fleet::new(1, dids);
        let (mut index, bytes, ns) = fleet.load();
        let name = |what: &str| format!("index, {dids} DIDs, {what}");
        let baseline = btree_pick(dids);
        let plain = picks(&mut index, |_| fleet.want(0));
        row(&name("pick"), plain, "ns", Some(baseline));
        for (what, wanted) in FILTERS {
            let alone = picks(&mut fleet.load().0, |n| wanted(&fleet, n));
            row(&name(&format!("pick {what}")), alone, "ns", None);
            let catching_up = picks(&mut index, |n| wanted(&fleet, n));
            row(&name(&format!("pick {what}, after as many others")), catching_up, "ns", None);
        }
        row(&name("mixed picks, settled"), mixed(&mut index, &fleet), "ns", None);
        row(&name("slowest pick after a change of filter"), worst(&mut index, &fleet), "ns", None);
        row(&name("memory loaded, per DID"), bytes.0 / dids as f64, "bytes", None);
        row(&name("memory peak while loading, per DID"), bytes.1 / dids as f64, "bytes", None);
        row(&name("memory after all picks, per DID"), in_use(&fleet, index), "bytes", None);
        row(&name("load, per DID"), ns / dids as f64, "ns", None);
    }
    let fleet = Fleet::new(10_000, 1_000_000);
    let (mut index, bytes, _) = fleet.load();
    let name = |what: &str| format!("index, 10000 tenants × 100 DIDs, {what}");
    row(&name("pick"), picks(&mut index, |n| fleet.want(n)), "ns", None);
    row(&name("pick by area code"), picks(&mut index, |n| fleet.by_area(n)), "ns", None);
    row(&name("memory, per DID"), bytes.0 / 1e6, "bytes", None);
}

/// What a pick may ask for besides the tenant.
const FILTERS: [(&str, fn(&Fleet, usize) -> &Want); 3] = [
    ("by area code", Fleet::by_area),
    ("by campaign", Fleet::by_campaign),
    ("by both", Fleet::by_both),
];

fn row(name: &str, value: f64, unit: &str, baseline: Option<f64>) {
    match baseline {
        Some(base) => {
            println!("{name} | {value:.1} {unit} | {base:.1} {unit} | {:.2}", base / value)
        }
        None => println!("{name} | {value:.1} {unit} | |"),
    }
}

/// DIDs as an import leaves them: ids rising, 300 area codes and 100 campaigns at random.
struct Fleet {
    tenants: Vec<TenantId>,
    areas: Vec<AreaCode>,
    campaigns: Vec<CampaignId>,
    dids: usize,
    /// One `Want` per tenant, area code, campaign and both, so that making them costs nothing.
    wants: [Vec<Want>; 4],
}

impl Fleet {
    fn new(tenants: usize, dids: usize) -> Self {
        let tenants: Vec<TenantId> =
            (0..tenants).map(|n| format!("tenant-{n}").parse().unwrap()).collect();
        let areas: Vec<AreaCode> =
            (200..500).map(|n: u32| n.to_string().parse().unwrap()).collect();
        let campaigns: Vec<CampaignId> =
            (0..100).map(|n| format!("c_{n}").parse().unwrap()).collect();
        let want = |n: usize, campaign: bool, area: bool| Want {
            tenant: tenants[n % tenants.len()].clone(),
            campaign: campaign.then(|| campaigns[scatter(n) % campaigns.len()].clone()),
            area_code: area.then(|| areas[scatter(n + 7) % areas.len()]),
        };
        let many = |campaign, area| (0..10_000).map(|n| want(n, campaign, area)).collect();
        let wants = [many(false, false), many(false, true), many(true, false), many(true, true)];
        Self { tenants, areas, campaigns, dids, wants }
    }

    fn want(&self, n: usize) -> &Want {
        &self.wants[0][n % 10_000]
    }

    fn by_area(&self, n: usize) -> &Want {
        &self.wants[1][n % 10_000]
    }

    fn by_campaign(&self, n: usize) -> &Want {
        &self.wants[2][n % 10_000]
    }

    fn by_both(&self, n: usize) -> &Want {
        &self.wants[3][n % 10_000]
    }

    fn did(&self, n: usize) -> DidState {
        let each = self.dids / self.tenants.len();
        DidState {
            // Rising, and as random below as UUIDv7 is.
            id: DidId(Uuid::from_u64_pair(n as u64, scatter(n) as u64)),
            tenant: self.tenants[n / each].clone(),
            number: E164::from_digits(NUMBERS + n as u64).unwrap(),
            area_code: Some(self.areas[scatter(n + 1) % self.areas.len()]),
            trunk: TrunkName::pjsip(),
            status: DidStatus::Active,
            usage_count: 0,
            max_usage: None,
            campaign: Some(self.campaigns[scatter(n + 2) % self.campaigns.len()].clone()),
            head_start: 0,
        }
    }

    /// The index, (bytes in use, bytes at the peak) and the nanoseconds it took.
    fn load(&self) -> (RotationIndex, (f64, f64), f64) {
        let before = IN_USE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let begun = cpu_ns();
        let mut index = RotationIndex::new();
        (0..self.dids).for_each(|n| index.upsert(&self.did(n)));
        let ns = cpu_ns() - begun;
        let used = IN_USE.load(Ordering::Relaxed) - before;
        let peak = PEAK.load(Ordering::Relaxed) - before;
        (index, (used as f64, peak as f64), ns)
    }
}

fn picks<'a>(index: &mut RotationIndex, want: impl Fn(usize) -> &'a Want) -> f64 {
    let begun = cpu_ns();
    for n in 0..PICKS {
        let _ = black_box(index.pick(want(n)));
    }
    (cpu_ns() - begun) / PICKS as f64
}

/// All kinds in turn, a fifth given back, the rest settled.
fn mixed(index: &mut RotationIndex, fleet: &Fleet) -> f64 {
    // The store: a count per number.
    let mut counted = vec![0_u32; fleet.dids];
    let begun = cpu_ns();
    for n in 0..PICKS {
        let want = match n % 4 {
            0 => fleet.want(n),
            1 => fleet.by_area(n),
            2 => fleet.by_campaign(n),
            _ => fleet.by_both(n),
        };
        let Some(pick) = index.pick(want) else { continue };
        if n % 5 == 0 {
            index.give_back(&pick);
        } else {
            let count = &mut counted[(pick.number.digits() - NUMBERS) as usize];
            *count += 1;
            index.settle(&pick, *count);
        }
    }
    (cpu_ns() - begun) / PICKS as f64
}

/// The first plain pick after each of many picks by area code: it meets what they left behind.
fn worst(index: &mut RotationIndex, fleet: &Fleet) -> f64 {
    for n in 0..PICKS {
        let _ = black_box(index.pick(fleet.by_area(n)));
    }
    let slowest = (0..1_000).map(|_| {
        let begun = cpu_ns();
        let _ = black_box(index.pick(fleet.want(0)));
        cpu_ns() - begun
    });
    slowest.fold(0.0, f64::max)
}

fn in_use(fleet: &Fleet, index: RotationIndex) -> f64 {
    let with = IN_USE.load(Ordering::Relaxed);
    drop(index);
    (with - IN_USE.load(Ordering::Relaxed)) as f64 / fleet.dids as f64
}

fn btree_pick(dids: usize) -> f64 {
    let mut order: BTreeSet<(u32, Uuid)> =
        (0..dids).map(|n| (0, Uuid::from_u64_pair(n as u64, scatter(n) as u64))).collect();
    let begun = cpu_ns();
    for _ in 0..PICKS {
        let (usage, id) = order.pop_first().expect("as many as at the start");
        order.insert((usage + 1, black_box(id)));
    }
    (cpu_ns() - begun) / PICKS as f64
}

/// How long this thread has run, in nanoseconds: what others do on the machine is not counted.
fn cpu_ns() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("schedstat begins with a number")
}

/// A number that looks random, the same every time.
fn scatter(n: usize) -> usize {
    let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) as usize >> 20
}
