//! Which DIDs a command is about, as the API filters them.

use clap::Args;

use super::client::Ask;
use crate::domain::did::{DidStatus, TrunkName};
use crate::domain::number::AreaCode;
use crate::domain::tenant::CampaignId;

#[derive(Debug, Args)]
pub(super) struct DidFilterArgs {
    /// Only these: active, available, inactive or suspended
    #[arg(long)]
    status: Option<DidStatus>,
    /// Only this area code
    #[arg(long)]
    area_code: Option<AreaCode>,
    /// Only this trunk
    #[arg(long)]
    trunk: Option<TrunkName>,
    /// Only this campaign
    #[arg(long)]
    campaign: Option<CampaignId>,
    /// Only numbers with these digits anywhere
    #[arg(long)]
    q: Option<String>,
}

impl DidFilterArgs {
    /// The same question about these DIDs alone.
    pub(super) fn of(self, ask: Ask) -> Ask {
        ask.query("status", self.status)
            .query("areaCode", self.area_code)
            .query("trunk", self.trunk)
            .query("campaignId", self.campaign)
            .query("q", self.q)
    }
}
